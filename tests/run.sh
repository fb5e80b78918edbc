#!/usr/bin/env bash
# Installs what is missing, builds and runs all tests of the build for this machine (cuda where there is a GPU, else cpu).
#   bash tests/run.sh [preset]      cpu, cuda, ptx, asan, simt-check, cuda-debug
#   DERRD_DATA=folder               folder/citeulike/users.dat for the tests on real data, which are skipped without it
# The presets compile up to twelve files at a time; -DCMAKE_UNITY_BUILD=OFF compiles each by itself, to work on one of them.
set -euo pipefail
# A relative folder is relative to where the caller is.
case "${DERRD_DATA-}" in "" | /*) ;; *) export DERRD_DATA="$PWD/$DERRD_DATA" ;; esac
cd "$(dirname "$0")/.."
. apps/setup.sh
preset=${1:-$preset}
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset" --parallel "$(nproc)"
