#!/usr/bin/env python3
"""Time and memory of whole jobs against plain copying and against the plan's own estimate.

Prints ratios, interleaved in one run, with the machine's CPU named:
  data-free  w8a16 per channel of a 2.2 GB checkpoint / `cp` of input plus output sizes, and peak RSS
  w8a8       peak RSS of a 1.1 B-parameter LLaMA with 10 prompts / what --dry-run printed
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown CPU"


def run(command):
    """Seconds and peak RSS in bytes of a command; its failure ends the bench."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{error.decode()}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def copy_seconds(work, model, out):
    """cp of as many bytes as the job reads and writes, page cache warm."""
    target = work / "copy"
    shutil.rmtree(target, ignore_errors=True)
    seconds, _ = run(["cp", "-r", model, target])
    seconds_out, _ = run(["cp", "-r", out, target / "out"])
    shutil.rmtree(target)
    return seconds + seconds_out


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)


def data_free(pare, work, model, rounds):
    out = work / "w8a16"
    ratios, peaks = [], []
    remove(out)
    run([pare, "quantize", model, "-o", out, "--scheme", "w8a16"])  # warms the page cache
    for _ in range(rounds):
        copied = copy_seconds(work, model, out)
        remove(out)
        seconds, peak = run([pare, "quantize", model, "-o", out, "--scheme", "w8a16"])
        ratios.append(seconds / copied)
        peaks.append(peak)
        print(f"  data-free w8a16 {seconds:.2f} s, cp {copied:.2f} s, ratio {ratios[-1]:.2f}")
    remove(out)
    print(f"data-free w8a16 / cp: median {statistics.median(ratios):.2f} "
          f"(min {min(ratios):.2f}, max {max(ratios):.2f}; at most 1.5), "
          f"peak RSS {max(peaks) / 2**20:.0f} MiB (at most 600)")
    return statistics.median(ratios) <= 1.5 and max(peaks) <= 600 * 2**20


def estimate(pare, model, prompts):
    text = subprocess.run([pare, "quantize", model, "--scheme", "w8a8", "--calib", prompts,
                           "--dry-run", "--json"], check=True, capture_output=True).stdout.decode()
    plan = next(json.loads(line) for line in text.splitlines() if '"plan"' in line)
    return plan["memory_bytes"]


def memory(pare, work, model):
    out, prompts = work / "w8a8", model / "prompts.jsonl"
    remove(out)
    planned = estimate(pare, model, prompts)
    seconds, peak = run([pare, "quantize", model, "-o", out, "--scheme", "w8a8", "--calib", prompts])
    remove(out)
    print(f"w8a8 of 1.1 B parameters, 10 prompts: {seconds:.1f} s, peak RSS {peak / 2**20:.0f} MiB, "
          f"planned {planned / 2**20:.0f} MiB, ratio {peak / planned:.3f} (within 0.85 … 1.15), "
          f"at most 1536 MiB")
    return abs(peak / planned - 1) <= 0.15 and peak <= 1536 * 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pare", default=HERE.parents[1] / "build/release/bin/pare")
    parser.add_argument("--work", type=pathlib.Path, default=HERE.parents[1] / "build/bench-data")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{cpu_name()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    model = args.work / "llama-1b"
    if not (model / "prompts.jsonl").exists():
        subprocess.run([sys.executable, HERE / "make_checkpoint.py", model], check=True)
    good = [data_free(args.pare, args.work, model, args.rounds), memory(args.pare, args.work, model)]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
