#!/usr/bin/env bash
# The main job, from nothing to a table: installs, builds, gets CiteULike, trains a BPR teacher (dim 200), a student a tenth of its
# size alone and the same student with DE-RRD, compares them, and shows one user's recommendations.
#   bash apps/demo.sh [--quick]     --quick: a few epochs only, to see it work
#   DERRD_DATA=folder               takes folder/citeulike/users.dat instead of downloading it
#   DERRD_WORK=folder               where data, models and logs go (build/demo)
set -euo pipefail
# Relative folders are relative to where the caller is.
for name in DERRD_DATA DERRD_WORK; do
  case "${!name-}" in "" | /*) ;; *) export "$name=$PWD/${!name}" ;; esac
done
cd "$(dirname "$0")/.."

quick=
case "${1-}" in
  "") ;;
  --quick) quick=1 ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0"; [ "$1" = --help ] && exit 0 || exit 2 ;;
esac

. apps/setup.sh

# ---------------------------------------------------------------- data
work=${DERRD_WORK:-build/demo}
mkdir -p "$work"
users_dat=$work/users.dat
checksum=02d5d429b2c0362e0ed79f6ef204666b4092563d21493abf4dfb521e8a7078bf
address=https://raw.githubusercontent.com/js05212/citeulike-t/master/users.dat
is_citeulike() { [ -f "$1" ] && echo "$checksum  $1" | sha256sum --check --status; }
given=${DERRD_DATA:+$DERRD_DATA/citeulike/users.dat}
if [ -n "$given" ] && [ -f "$given" ]; then
  is_citeulike "$given" || {
    echo "$given is not CiteULike's (its sha256 is not $checksum); replace it, or unset DERRD_DATA to have it downloaded" >&2
    exit 1
  }
  users_dat=$given
else
  [ -z "$given" ] || echo "DERRD_DATA is $DERRD_DATA, but there is no citeulike/users.dat in it: going on without it" >&2
  if ! is_citeulike "$users_dat"; then
    echo "Getting $address"
    part=$(mktemp "$users_dat.part-XXXXXX") # its own: another demo may be downloading too
    trap 'rm -f "$part"' EXIT
    curl -fsSL --retry 2 --max-time 60 -o "$part" "$address" && chmod 644 "$part" && mv "$part" "$users_dat" || rm -f "$part"
  fi
fi

# ---------------------------------------------------------------- the program
echo "Building for $preset, which takes some minutes the first time"
cmake --preset "$preset" >build-log.tmp-$$ 2>&1 || { cat build-log.tmp-$$; rm -f build-log.tmp-$$; exit 1; }
rm -f build-log.tmp-$$
cmake --build --preset "$preset" --target derrd
derrd=build/$preset/apps/derrd

if is_citeulike "$users_dat"; then
  "$derrd" prepare "$users_dat" --format citeulike -o "$work/data.safetensors"
else
  echo "CiteULike could not be had (no network, or a file with another sha256): using the built-in synthetic set, which is shaped like it."
  echo "Its figures say nothing about CiteULike; put users.dat into a folder citeulike/ and name its parent with DERRD_DATA."
  "$derrd" synthesize -o "$work/data.safetensors"
fi

# ---------------------------------------------------------------- teach and distil
length=()
student_length=()
if [ -n "$quick" ]; then
  length=(--epochs 25)
  student_length=(--epochs 25 --tau-horizon 25)
fi
"$derrd" train --data "$work/data.safetensors" --model bpr --dim 200 "${length[@]}" \
  --log "$work/teacher.jsonl" -o "$work/teacher.safetensors"
"$derrd" distill --data "$work/data.safetensors" --teacher "$work/teacher.safetensors" --method none --size 0.1 \
  "${student_length[@]}" --log "$work/student.jsonl" -o "$work/student.safetensors"
"$derrd" distill --data "$work/data.safetensors" --teacher "$work/teacher.safetensors" --method de-rrd --size 0.1 \
  "${student_length[@]}" --log "$work/de-rrd.jsonl" -o "$work/de-rrd.safetensors"

# ---------------------------------------------------------------- compare
echo
[ -z "$quick" ] || echo "QUICK RUN: 25 epochs each, none of these models has converged."
"$derrd" evaluate --data "$work/data.safetensors" \
  --model "$work/teacher.safetensors" "$work/student.safetensors" "$work/de-rrd.safetensors"
user=$("$derrd" recommend --data "$work/data.safetensors" --model "$work/teacher.safetensors" --top 1 | sed -n '2p' | cut -f1)
for model in teacher de-rrd; do
  echo
  echo "Ten recommendations for user $user by ${model}:"
  "$derrd" recommend --data "$work/data.safetensors" --model "$work/$model.safetensors" --users "$user" --top 10
done
echo
echo "The program is $PWD/$derrd, data and models are in $(cd "$work" && pwd)"
