#!/usr/bin/env bash
# Checks that a CUDA build of derrd says in one line that there is no device, and exits with 1. Any devices there are are hidden.
#   bash tests/apps/no_device.sh build/cuda/apps/derrd
set -euo pipefail
[ $# -eq 1 ] && [ -x "$1" ] || { sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2; }
program=$(realpath "$1")
export CUDA_VISIBLE_DEVICES=-1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"$program" synthesize --users 20 --items 40 --interactions 200 --candidates 10 -o data.safetensors >prepared.txt

# A model as any library would write it: zeros, of dimension 4.
header='{"user_embedding":{"dtype":"F32","shape":[20,4],"data_offsets":[0,320]},"item_embedding":{"dtype":"F32","shape":[40,4],"data_offsets":[320,960]}}'
while [ $((${#header} % 8)) -ne 0 ]; do header+=' '; done
{ printf "\\x$(printf %02x ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header"; head -c 960 /dev/zero; } >teacher.safetensors
"$program" info teacher.safetensors >described.txt

failed=
complain() {
  printf '%s: %s\n' "$1" "$2" >&2
  sed 's/^/    /' stderr.txt >&2
  failed=1
}
expect_no_device() {
  local code=0
  timeout 60 "$program" "$@" >stdout.txt 2>stderr.txt || code=$?
  [ "$code" -eq 1 ] || complain "derrd $1" "exit code $code, not 1"
  [ "$(wc -l <stderr.txt)" -eq 1 ] || complain "derrd $1" "standard error has $(wc -l <stderr.txt) lines, not 1:"
  grep -q '^derrd: .*no CUDA device' stderr.txt || complain "derrd $1" "standard error does not name the cause:"
}
expect_no_device train --data data.safetensors --dim 4 --epochs 1 -o model.safetensors
expect_no_device distill --data data.safetensors --teacher teacher.safetensors --method de --dim 2 --epochs 1 -o model.safetensors
expect_no_device evaluate --data data.safetensors --model teacher.safetensors
expect_no_device recommend --data data.safetensors --model teacher.safetensors
expect_no_device export teacher.safetensors --data data.safetensors --format tsv -o model.safetensors
[ ! -e model.safetensors ] || complain derrd "left a model behind"
[ -z "$failed" ] || exit 1
echo "Without a device, train, distill, evaluate, recommend and export exit with 1 and say: $(cat stderr.txt)"
