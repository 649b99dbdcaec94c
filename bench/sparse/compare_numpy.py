#!/usr/bin/env python3
"""Sparse quantization of one 7B-sized weight against the same arithmetic written with numpy.

Rounds are interleaved; prints numpy seconds / pare seconds per method, for each thread count, and
fails when codes differ. numpy's threads each take a block of rows; its selection over the whole
tensor has one thread, as numpy has no other.

Usage: compare_numpy.py PARE_BENCH_SPARSE [--threads 1,2] [--rounds N] [--rows N] [--columns N]
"""
import argparse
import concurrent.futures
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np

SEVEN = np.float32(7)
REACH = np.float32(127)


def split(w, outlier, amax):
    """Codes of a block: 4-bit inliers and 8-bit outliers with one scale (twice, an ulp apart)."""
    inlier_scale = amax / SEVEN
    outlier_scale = amax * REACH / SEVEN / REACH
    inliers = np.clip(np.rint(np.where(outlier, 0, w) / inlier_scale), -SEVEN, SEVEN)
    outliers = np.clip(np.rint(np.where(outlier, w, 0) / outlier_scale), -REACH, REACH)
    return (inliers + outliers).astype(np.int8)


def largest_inlier(magnitude, outlier):
    return np.where(outlier, 0, magnitude).max(axis=1, keepdims=True)


def in_blocks(pool, threads, w, fn):
    blocks = np.array_split(w, threads)
    return np.concatenate(list(pool.map(fn, blocks)))


def co_sparse(pool, threads, w, fraction, per_channel):
    magnitude = np.abs(w)
    place = w.size - int(w.size * fraction)
    limit = np.partition(magnitude.reshape(-1), place)[place]

    def block(part):
        size = np.abs(part)
        outlier = size > limit
        return split(part, outlier, largest_inlier(size, outlier) if per_channel else limit)

    return in_blocks(pool, threads, w, block)


def lowbit(pool, threads, w, fraction=None, sigma=None):
    def block(part):
        size = np.abs(part)
        if sigma is None:
            place = part.shape[1] - int(part.shape[1] * fraction)
            outlier = size > np.partition(size, place, axis=1)[:, place, None]
        else:
            variance = np.var(size, axis=1, ddof=1, keepdims=True, dtype=np.float64)
            outlier = size / np.sqrt(variance.astype(np.float32)) > np.float32(sigma)
        scale = largest_inlier(size, outlier) / SEVEN
        return np.clip(np.rint(part / scale), -128, 127).astype(np.int8)

    return in_blocks(pool, threads, w, block)


CASES = {
    "co-sparse tensor fraction=0.01": lambda p, t, w: co_sparse(p, t, w, 0.01, False),
    "co-sparse channel fraction=0.01": lambda p, t, w: co_sparse(p, t, w, 0.01, True),
    "co-sparse channel fraction=0.1": lambda p, t, w: co_sparse(p, t, w, 0.1, True),
    "lowbit channel fraction=0.01": lambda p, t, w: lowbit(p, t, w, fraction=0.01),
    "lowbit channel use_sigma=true": lambda p, t, w: lowbit(p, t, w, sigma=3),
}


def made_up_weight(rows, columns):
    """Gaussian weights in rows of unequal size, one in 250 fifteen times larger; exact in bf16."""
    rng = np.random.default_rng(1)
    w = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.02)
    w *= rng.uniform(0.5, 2, (rows, 1)).astype(np.float32)
    w[rng.random((rows, columns), dtype=np.float32) < 0.004] *= 15
    return (w.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


class Pare:
    def __init__(self, program, weight, shape, dtype, threads):
        command = [program, weight, str(shape[0]), str(shape[1]), dtype, str(threads)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True)
        self.cpu = self.child.stdout.readline().strip()

    def ask(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return float(self.child.stdout.readline())

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def compare(pare, pool, threads, w, codes_file, rounds):
    for request, statement in CASES.items():
        ours, theirs = [], []
        pare.ask(request)
        for _ in range(rounds):
            ours.append(pare.ask(request))
            start = time.perf_counter()
            codes = statement(pool, threads, w)
            theirs.append(time.perf_counter() - start)
        pare.ask(f"codes {codes_file}")
        different = int(np.count_nonzero(np.fromfile(codes_file, np.int8) != codes.reshape(-1)))
        ratio = statistics.median(t / o for t, o in zip(theirs, ours))
        print(f"  {request:32s} pare {statistics.median(ours):.3f} s, numpy "
              f"{statistics.median(theirs):.3f} s, numpy / pare {ratio:.1f} (target >= 10)")
        if different:
            raise SystemExit(f"{different} codes differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--columns", type=int, default=11008)
    args = parser.parse_args()

    w = made_up_weight(args.rows, args.columns)
    with tempfile.TemporaryDirectory() as folder:
        weight = pathlib.Path(folder) / "weight.f32"
        w.tofile(weight)
        for threads in sorted(set(map(int, args.threads.split(",")))):
            for dtype in ("f32", "bf16"):
                pare = Pare(args.program, weight, w.shape, dtype, threads)
                print(f"{pare.cpu}, {threads} threads, {args.rows} x {args.columns} {dtype}, numpy "
                      f"{np.__version__}, median of {args.rounds} interleaved rounds")
                with concurrent.futures.ThreadPoolExecutor(threads) as pool:
                    compare(pare, pool, threads, w, pathlib.Path(folder) / "codes", args.rounds)
                pare.close()


if __name__ == "__main__":
    main()
