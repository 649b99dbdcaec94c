#!/usr/bin/env python3
"""The codec on bf16 weights against ZipNN, on one thread, the sides in turn.

Usage: against_zipnn.py PARE_BENCH_CODEC [--rounds N]; needs the package zipnn (run.sh installs it).
Prints size and rates of both, and PASS or FAIL for: decode >= 2 x ZipNN, size no larger.
"""
import argparse
import importlib.metadata
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
import zipnn  # noqa: E402  (imports torch, which warns)


def timed(function, data):
    start = time.process_time()
    result = function(data)
    return result, time.process_time() - start


def zipnn_round(plain):
    """(bits per weight, encode GB/s, decode GB/s); ZipNN works in place, so it gets a copy."""
    codec = zipnn.ZipNN(input_format="byte", bytearray_dtype="bfloat16", threads=1)
    packed, encode = timed(codec.compress, bytearray(plain))
    size = len(packed)
    back, decode = timed(codec.decompress, packed)
    if bytes(back) != plain:
        sys.exit("against_zipnn.py: ZipNN's output differs from what went in")
    return 16 * size / len(plain), len(plain) / encode / 1e9, len(plain) / decode / 1e9


def pare_round(program):
    """The same of one round of the codec's benchmark."""
    out = subprocess.run([program, "128", "1", "bf16"], capture_output=True, text=True, check=True)
    fields = re.search(r"^bf16 gauss +(.*)$", out.stdout, re.MULTILINE).group(1).split()
    return float(fields[0]), float(fields[5]), float(fields[6])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "weights"
        subprocess.run([args.program, "--write", path], check=True)
        plain = path.read_bytes()
    zipnn_round(plain)
    rounds = [(pare_round(args.program), zipnn_round(plain)) for _ in range(args.rounds)]
    print(f"\nbf16 weights, 128 MiB, CPU time of one thread, {args.rounds} rounds in turn")
    for name, side in (("pare", 0), ("ZipNN " + importlib.metadata.version("zipnn"), 1)):
        bits, encode, decode = (statistics.median(r[side][i] for r in rounds) for i in range(3))
        print(f"{name:<14} {bits:7.3f} bits  encode {encode:5.2f} GB/s  decode {decode:5.2f} GB/s")
    ratio = statistics.median(p[2] / z[2] for p, z in rounds)
    size = rounds[0][0][0] / rounds[0][1][0]
    print(f"{'PASS' if ratio >= 2 else 'FAIL'} bf16: decode >= 2 x ZipNN: {ratio:.2f}")
    print(f"{'PASS' if size <= 1 else 'FAIL'} bf16: no larger than ZipNN: {100 * (size - 1):+.2f} %")


if __name__ == "__main__":
    main()
