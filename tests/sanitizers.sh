#!/usr/bin/env bash
# The tests of the native core under AddressSanitizer and UndefinedBehaviorSanitizer, in
# a virtual environment of their own. Needs CPython >= 3.11, and g++ with its sanitizers.
#
#   bash tests/sanitizers.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "$0")/.."

venv="$(mktemp -d)/venv"
trap 'rm -rf "$(dirname "$venv")"' EXIT
python3 -m venv "$venv"
# shellcheck disable=SC1091
source "$venv/bin/activate"

pip install --quiet ".[test]" -C build-dir="$venv/build" \
  -C cmake.define.GAPFIT_SANITIZE=address,undefined

# Python itself leaks what it keeps to its end; dscribe frees what it made with new[] and
# asks for memory of negative size;
# libstdc++ must be there before the sanitizer looks for its exceptions.
export ASAN_OPTIONS=detect_leaks=0:alloc_dealloc_mismatch=0:allocator_may_return_null=1
libraries="libasan.so libubsan.so libstdc++.so"
LD_PRELOAD="$(for name in $libraries; do printf '%s ' "$(g++ -print-file-name="$name")"; done)"
export LD_PRELOAD

tests=(tests/test_{angle_3b,core,distance_2b,local_variance,moving_pairs,native,neighbours,repulsion,soap}.py
  tests/contract/test_descriptors.py)
for bits in 128 256 512; do
  GAPFIT_INSTRUCTION_SET=$bits pytest -q -p no:cacheprovider "${tests[@]}" "$@"
done
