#!/usr/bin/env bash
# Where apps/demo.sh takes its data from and where it writes, with stand-ins for everything that it calls.
#   bash demo_test.sh SOURCE     SOURCE: the repository
set -euo pipefail
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
repository=$work/repository
caller=$work/caller
mkdir -p "$repository/apps" "$repository/build/cpu/apps" "$work/bin" "$caller/data/citeulike" "$caller/empty"
cp "$source/apps/demo.sh" "$repository/apps"
echo 'preset=cpu' >"$repository/apps/setup.sh"

stand_in() { # FILE, its text on stdin
  { echo '#!/usr/bin/env bash'; cat; } >"$1"
  chmod +x "$1"
}
stand_in "$work/bin/cmake" <<<'exit 0'
stand_in "$work/bin/curl" <<<'echo curl >>"$CALLS"; exit 6'
# A file is CiteULike's if it says so.
stand_in "$work/bin/sha256sum" <<<'read -r _ file && grep -q genuine "$file"'
stand_in "$repository/build/cpu/apps/derrd" <<<'echo "$@" >>"$CALLS"; [ "$1" != recommend ] || printf "user\n17\n"'
export CALLS=$work/calls

failures=0
fail() {
  echo "FAILED: $*" >&2
  cat "$work/output" "$CALLS" >&2
  failures=1
}
demo() { # EXIT_CODE VARIABLE=VALUE...
  local expected=$1 code=0
  shift
  : >"$CALLS"
  (cd "$caller" && env -u DERRD_DATA -u DERRD_WORK PATH="$work/bin:$PATH" "$@" bash "$repository/apps/demo.sh") \
    >"$work/output" 2>&1 || code=$?
  [ "$code" = "$expected" ] || fail "exit code $code, not $expected, with $*"
}
calls() { grep -qF -- "$1" "$CALLS" || fail "did not call: $1"; }
calls_not() { ! grep -qF -- "$1" "$CALLS" || fail "called: $1"; }
says() { grep -qF -- "$1" "$work/output" || fail "did not say: $1"; }

echo genuine >"$caller/data/citeulike/users.dat"
demo 0 DERRD_DATA=data DERRD_WORK=out
calls "prepare $caller/data/citeulike/users.dat --format citeulike -o $caller/out/data.safetensors"
calls_not curl
demo 0 DERRD_DATA="$caller/data"
calls "prepare $caller/data/citeulike/users.dat"
calls "-o build/demo/data.safetensors"

echo other >"$caller/data/citeulike/users.dat"
demo 1 DERRD_DATA=data
says "$caller/data/citeulike/users.dat is not CiteULike's"
says "replace it"
calls_not curl

demo 0 DERRD_DATA=empty DERRD_WORK=out
says "DERRD_DATA is $caller/empty, but there is no citeulike/users.dat in it"
calls curl
says "synthetic set"
calls "synthesize -o $caller/out/data.safetensors"

demo 0
calls curl
calls "synthesize -o build/demo/data.safetensors"

# Two downloads at once: the second one begins while the first one has its file whole, but not in place.
stand_in "$work/bin/curl" <<'END'
echo curl >>"$CALLS"
while [ "$1" != -o ]; do shift; done
exec 3>"$2"
printf genu >&3; sleep 0.4; printf ine >&3; sleep 0.4
END
: >"$CALLS"
for each in 1 2; do
  (cd "$caller" && env -u DERRD_DATA PATH="$work/bin:$PATH" DERRD_WORK=pair bash "$repository/apps/demo.sh") \
    >"$work/output-$each" 2>&1 &
  sleep 0.6
done
wait
cat "$work/output-1" "$work/output-2" >"$work/output"
calls "prepare $caller/pair/users.dat"
calls_not synthesize
[ "$(ls "$caller/pair")" = users.dat ] || fail "left $(ls "$caller/pair")"

# A download that is interrupted leaves nothing.
stand_in "$work/bin/curl" <<'END'
while [ "$1" != -o ]; do shift; done
printf genu >"$2"; kill -TERM "$PPID"; sleep 0.2; exit 6
END
demo 143 DERRD_WORK=interrupted
[ -z "$(ls "$caller/interrupted")" ] || fail "left $(ls "$caller/interrupted")"
exit $failures
