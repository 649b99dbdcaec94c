#!/usr/bin/env python3
"""Time and memory of `pare convert` against `cp`, from a made-up W4A16 checkpoint of 2 GB in four shards.

cp and convert take turns. Both read the source from a warm page cache, both write into the page cache and neither calls
fsync; what is dirty is written back before a turn begins, outside its time. The speed is that of the source's bytes:
convert reads them twice, since it decodes both sides again, and writes fewer, since the source holds one code to a byte.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys

import run

HERE = pathlib.Path(__file__).resolve().parent
SPEED = 0.5  # of cp, at least
MEMORY = 700 * 2**20


def timed(command):
    os.sync()
    return run.run(command)


def measure(pare, work, model, layout, rounds):
    """Ratios of speed (cp = 1) and the highest peak of memory in bytes."""
    out, copy = work / f"converted-{layout}", work / "copy"
    ratios, peaks = [], []
    for _ in range(rounds):
        run.remove(copy)
        copied, _ = timed(["cp", "-r", model, copy])
        run.remove(copy)
        run.remove(out)
        converted, peak = timed([pare, "convert", model, "--to", layout, "-o", out])
        run.remove(out)
        ratios.append(copied / converted)
        peaks.append(peak)
        print(f"  {layout}: convert {converted:.2f} s, cp {copied:.2f} s, speed {ratios[-1]:.2f} of cp, {peak / 2**20:.0f} MiB")
    return ratios, max(peaks)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pare", default=HERE.parents[1] / "build/release/bin/pare")
    parser.add_argument("--work", type=pathlib.Path, default=HERE.parents[1] / "build/bench-data")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{run.cpu_name()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    model = args.work / "llama-w4a16"
    if not (model / "config.json").exists():
        subprocess.run([sys.executable, HERE / "make_quantized.py", model], check=True)
    for path in model.iterdir():
        path.read_bytes()  # into the page cache
    good = True
    for layout in ("gptq", "autoawq"):
        ratios, peak = measure(args.pare, args.work, model, layout, args.rounds)
        median = statistics.median(ratios)
        print(f"convert to {layout}: median speed {median:.2f} of cp (min {min(ratios):.2f}, max {max(ratios):.2f}; at least {SPEED}), "
              f"peak RSS {peak / 2**20:.0f} MiB (at most {MEMORY // 2**20})")
        good = good and median >= SPEED and peak <= MEMORY
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
