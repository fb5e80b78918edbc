#!/usr/bin/env bash
# Checks that derrd is built with the protections that CMakeLists.txt asks for.
#   bash tests/apps/hardening.sh build/cpu/apps/derrd
set -euo pipefail
[ $# -eq 1 ] && [ -x "$1" ] || { sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2; }
facts=$(LC_ALL=C readelf --wide --file-header --segments --dynamic --dyn-syms "$1")
failed=
expect() { # WHAT PATTERN
  grep -Eq -- "$2" <<<"$facts" || { echo "$1: missing" >&2; failed=1; }
}
expect "addresses that change with every start (PIE)" 'Type: +DYN .*Position-Independent Executable'
expect "tables that can't be written (RELRO)" '^ +GNU_RELRO'
expect "tables filled at the start (BIND_NOW)" 'FLAGS.*(BIND_NOW|NOW)'
expect "a stack that is no code" '^ +GNU_STACK .* RW +0x'
expect "checks of stacks" '__stack_chk_fail'
expect "checks of buffers" ' __[a-z]+_chk(@|$)'
[ -z "$failed" ] || { echo "in $1" >&2; exit 1; }
