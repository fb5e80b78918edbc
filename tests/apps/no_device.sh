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

failed=
complain() {
  printf '%s: %s\n' "$1" "$2" >&2
  sed 's/^/    /' stderr.txt >&2
  failed=1
}
# Each command that computes on the device, with whatever it needs to come so far.
expect_no_device() {
  local code=0
  timeout 60 "$program" "$@" >stdout.txt 2>stderr.txt || code=$?
  [ "$code" -eq 1 ] || complain "derrd $1" "exit code $code, not 1"
  [ "$(wc -l <stderr.txt)" -eq 1 ] || complain "derrd $1" "standard error has $(wc -l <stderr.txt) lines, not 1:"
  grep -q '^derrd: .*no CUDA device' stderr.txt || complain "derrd $1" "standard error does not name the cause:"
}
expect_no_device train --data data.safetensors --dim 4 --epochs 1 -o model.safetensors
[ ! -e model.safetensors ] || complain "derrd train" "left a model behind"
[ -z "$failed" ] || exit 1
echo "Without a device, derrd train exits with 1 and says: $(cat stderr.txt)"
