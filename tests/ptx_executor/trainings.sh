#!/usr/bin/env bash
# Trains every method on every base model for two epochs on a small synthetic data set.
#   bash tests/ptx_executor/trainings.sh build/ptx/apps/derrd
# The executor's checks are chosen by the environment (README.md).
set -euo pipefail
derrd=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$derrd" synthesize --users 40 --items 120 --interactions 800 --candidates 50 -o data.safetensors
common="--data data.safetensors --epochs 2 --batch 128 --quiet"
for model in bpr neumf; do
  # shellcheck disable=SC2086
  "$derrd" train --model $model --dim 16 $common -o $model.safetensors
  for method in none rd cd de rrd de-rrd rrd+ir; do
    echo "$model $method"
    # shellcheck disable=SC2086
    "$derrd" distill --model $model --teacher $model.safetensors --method $method --dim 4 $common \
      --experts 5 --k 5 --l 5 --list 20 --ir-k 5 --ir-l 5 --ir-list 10 --rd-k 4 --rd-negatives 20 --rd-warmup 1 \
      --cd-items 5 --cd-list 20 -o student.safetensors
  done
done
