#!/usr/bin/env bash
# Checks that derrd, compiled for this machine's processor, says on an older one what that lacks, in place of an illegal
# instruction. Needs qemu-user.
#   bash tests/apps/processor.sh build/cpu/apps/derrd
set -euo pipefail
[ $# -eq 1 ] && [ -x "$1" ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(uname -m)" = x86_64 ] || { echo "$(uname -m) has no older processors to run on: nothing to check"; exit 0; }
grep -qw avx2 /proc/cpuinfo || { echo "this processor is no newer than the one to run on: nothing to check"; exit 0; }
command -v qemu-x86_64 >/dev/null || { echo "there is no qemu-x86_64; install qemu-user" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

code=0
timeout 60 qemu-x86_64 -cpu Nehalem "$1" --version >"$folder/out" 2>"$folder/err" || code=$?
problem=
[ "$code" -eq 1 ] || problem="exit code $code, not 1"
[ "$(wc -l <"$folder/err")" -eq 1 ] || problem="$(wc -l <"$folder/err") lines, not 1"
grep -q '^derrd: .* a processor with .*AVX2.*-DDERRD_NATIVE=OFF' "$folder/err" || problem="no word of AVX2, or of the cure"
[ ! -s "$folder/out" ] || problem="something was printed"
[ -z "$problem" ] || { echo "on a Nehalem: $problem:" >&2; cat "$folder/out" "$folder/err" >&2; exit 1; }
"$1" --version
