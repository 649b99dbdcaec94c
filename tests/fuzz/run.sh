#!/usr/bin/env bash
# Fuzzes the codec's decoder with clang's libFuzzer under the address and undefined sanitizers.
# Usage: run.sh SECONDS [options of libFuzzer]
# What it learns stays in build/fuzz/corpus; an input that fails is written to build/fuzz.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
seconds=${1:?usage: run.sh SECONDS [options of libFuzzer]}
shift
if ! command -v clang++ >/dev/null; then
  echo "run.sh: clang++ is missing: apt-get install clang libclang-rt-14-dev" >&2
  exit 2
fi

build=$root/build/fuzz
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DPARE_SANITIZE=address,undefined,fuzzer-no-link -DPARE_FUZZ=ON >&2
ninja -C "$build" pare_fuzz_make_corpus pare_fuzz_codec >&2
mkdir -p "$build/corpus"
"$build/bin/pare_fuzz_make_corpus" "$build/seeds"
cd "$build"
bin/pare_fuzz_codec corpus seeds -max_total_time="$seconds" -max_len=100000 -timeout=20 \
  -print_final_stats=1 "$@"
