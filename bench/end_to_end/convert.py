#!/usr/bin/env python3
"""Time and memory of `pare convert` against `cp`, from a made-up W4A16 checkpoint of 2 GB in four shards.

cp and convert take turns. Both read the source from a warm page cache, and both are timed until fsync of every file that
they wrote returned; what else is dirty is written back before a turn begins. The speed is that of the source's bytes.
The time without fsync is printed too: there cp is one copy inside the kernel, from page cache to page cache, without
the bytes ever reaching a program.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

import run

HERE = pathlib.Path(__file__).resolve().parent
SPEED = 0.5  # of cp, at least
MEMORY = 700 * 2**20


def write_back(folder):
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def timed(command, out):
    """Seconds until the command ended, seconds until its files were on the disk, peak RSS."""
    run.remove(out)
    os.sync()
    start = time.monotonic()
    seconds, peak = run.run(command)
    write_back(out)
    durable = time.monotonic() - start
    run.remove(out)
    return seconds, durable, peak


def measure(pare, work, model, layout, rounds):
    """Whether the median speed and the highest peak of memory are within their limits."""
    out, copy = work / f"converted-{layout}", work / "copy"
    cached, durable, peaks = [], [], []
    for _ in range(rounds):
        copied, copied_durably, _ = timed(["cp", "-r", model, copy], copy)
        converted, converted_durably, peak = timed([pare, "convert", model, "--to", layout, "-o", out], out)
        cached.append(copied / converted)
        durable.append(copied_durably / converted_durably)
        peaks.append(peak)
        print(f"  {layout}: with fsync convert {converted_durably:.2f} s, cp {copied_durably:.2f} s, speed {durable[-1]:.2f} of cp; "
              f"without convert {converted:.2f} s, cp {copied:.2f} s, speed {cached[-1]:.2f}; {peak / 2**20:.0f} MiB")
    print(f"convert to {layout}: median speed {statistics.median(durable):.2f} of cp "
          f"(min {min(durable):.2f}, max {max(durable):.2f}; at least {SPEED}), without fsync {statistics.median(cached):.2f}, "
          f"peak RSS {max(peaks) / 2**20:.0f} MiB (at most {MEMORY // 2**20})")
    return statistics.median(durable) >= SPEED and max(peaks) <= MEMORY


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
    good = [measure(args.pare, args.work, model, layout, args.rounds) for layout in ("gptq", "autoawq")]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
