#!/usr/bin/env bash
# Builds Pare and passes its tests; does the whole set-up on a bare Debian 12.
#
#   test.sh               C++ tests, command-line tests, interoperability with light packages
#   test.sh --interop     also the live judges: torch and transformers in build/venv-live, llama.cpp
#                         in build/venv-llama-cpp
#   test.sh --sanitize    also the C++ tests under AddressSanitizer and UBSan
#
# The last line sums everything up: "N passed, N failed, N skipped". Exit 1 when anything failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

interop=0 sanitize=0
for option in "$@"; do
  case $option in
    --interop) interop=1 ;;
    --sanitize) sanitize=1 ;;
    *)
      echo "usage: test.sh [--interop] [--sanitize]" >&2
      exit 2
      ;;
  esac
done

exec </dev/null # no test may wait for a terminal
results=$root/build/test-results
failed=()

# run_ctest PRESET: results go to build/test-results/ctest-PRESET.xml
run_ctest() {
  echo "== ctest: $1"
  ctest --test-dir "build/$1" --output-on-failure --no-tests=error -j "$(nproc)" \
    --output-junit "$results/ctest-$1.xml" || failed+=("ctest ($1)")
}

# run_pytest NAME PYTHON ARGUMENTS...: an empty collection is a failure (pytest exits with 5)
run_pytest() {
  local name=$1 python=$2
  shift 2
  echo "== pytest: $name"
  PARE_BIN=$root/build/release/bin/pare PYTHONDONTWRITEBYTECODE=1 \
    "$python" -m pytest -q --junitxml="$results/pytest-$name.xml" "$@" || failed+=("pytest ($name)")
}

"$root/scripts/setup.sh"
"$root/scripts/build.sh" release
python=$("$root/scripts/python-env.sh")
rm -rf "$results"
mkdir -p "$results"

[ $interop = 0 ] || export PARE_LONG=1
run_ctest release
run_pytest light "$python" -m "not live and not llama_cpp" -n auto --dist loadfile tests/cli tests/interop
if [ $interop = 1 ]; then
  live_python=$("$root/scripts/python-env.sh" --interop)
  "$live_python" -c 'import torch, transformers
print("live judges: torch", torch.__version__, "transformers", transformers.__version__)'
  run_pytest live "$live_python" -m live tests/interop
  # The judge runs in its own environment; the tests that ask it run in the light one.
  if llama_cpp_python=$("$root/scripts/python-env.sh" --llama-cpp); then
    PARE_LLAMA_CPP_PYTHON=$llama_cpp_python run_pytest llama-cpp "$python" -m llama_cpp tests/interop
  else
    echo "llama.cpp: not installed (offline?), its tests skip"
    run_pytest llama-cpp "$python" -m llama_cpp tests/interop
  fi
fi
if [ $sanitize = 1 ]; then
  "$root/scripts/build.sh" asan-ubsan
  run_ctest asan-ubsan
fi

echo
for name in "${failed[@]}"; do echo "FAILED: $name"; done
python3 scripts/test_summary.py "$results" || exit 1
[ ${#failed[@]} = 0 ]
