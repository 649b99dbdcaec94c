#!/usr/bin/env bash
# Builds the benchmarks and prints their ratios: one 7B-shaped block against the plain products and
# against torch; the codec against zstd, memcpy and ZipNN; sparse quantization of one weight against
# numpy; data-free quantization of a 2.2 GB checkpoint, and conversion of a quantized one of 2 GB,
# against cp; peak memory of a calibrated run against its plan.
# Usage: run.sh [--threads N] [--rounds N] [--no-torch] [--all]
# --all adds the rates of every variant of the matrix product and of attention.
# The made-up checkpoints stay in build/bench-data; about 10 GB of disk are needed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
threads=$(nproc)
rounds=5
torch=yes
all=no
while [ $# -gt 0 ]; do
  case $1 in
    --threads) threads=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --no-torch) torch=no; shift ;;
    --all) all=yes; shift ;;
    *)
      echo "usage: run.sh [--threads N] [--rounds N] [--no-torch] [--all]" >&2
      exit 2
      ;;
  esac
done

"$root/scripts/build.sh" bench >&2
bin=$root/build/bench/bin
echo "load average: $(cut -d ' ' -f 1-3 /proc/loadavg)"
"$bin/pare_bench_block" "$threads" "$rounds"
if [ "$torch" = yes ]; then
  python=$("$root/scripts/python-env.sh" --interop | tail -n 1)
  "$python" "$root/bench/torch_block.py" "$bin/pare_bench_block" \
    --threads "$threads" --rounds "$rounds"
fi
"$bin/pare_bench_codec" 128 "$rounds"
if zipnn=$("$root/scripts/python-env.sh" --zipnn | tail -n 1); then
  "$zipnn" "$root/bench/codec/against_zipnn.py" "$bin/pare_bench_codec" --rounds "$rounds"
else
  echo "skipped: bf16 against ZipNN, which could not be installed (offline?)"
fi
python=$("$root/scripts/python-env.sh" | tail -n 1)
"$python" "$root/bench/sparse/compare_numpy.py" "$bin/pare_bench_sparse" \
  --threads "1,$threads" --rounds "$rounds"
"$python" "$root/bench/end_to_end/run.py" --pare "$bin/pare" --rounds "$rounds"
"$python" "$root/bench/end_to_end/convert.py" --pare "$bin/pare" --rounds "$rounds"
if [ "$all" = yes ]; then
  "$bin/pare_bench_gemm" "$threads" "$rounds"
  "$bin/pare_bench_attention" "$threads" "$rounds"
fi
