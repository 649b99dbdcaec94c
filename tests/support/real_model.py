"""A real language model, where one can be had, and the peak memory of a run as the system counts it."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from support import program

VARIABLE = "PARE_REAL_MODEL"
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
# A small process between this one and the program: what the system reports of a child begins with what its parent holds.
LAUNCHER = """
import os, sys
child = os.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as out:
    out.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def folder():
    """Of $PARE_REAL_MODEL, or of the script beside the project that makes one; skips where there is neither."""
    named = os.environ.get(VARIABLE)
    if named:
        assert (pathlib.Path(named) / "config.json").is_file(), f"{VARIABLE} is {named}, which holds no config.json"
        return pathlib.Path(named)
    script = program.shared_folder() / "tools" / "real-model.sh"
    if not script.is_file():
        pytest.skip(f"no real model: {VARIABLE} is not set, and there is no {script}")
    made = subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=900)
    if made.returncode != 0:
        pytest.skip(f"no real model: {script} failed: {made.stderr[-300:]}")
    return pathlib.Path(made.stdout.strip().splitlines()[-1])


class Run:
    """`pare arguments…`, with the largest resident set it ever had."""

    def __init__(self, scratch, *arguments):
        peak = scratch / "peak"
        command = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(peak), str(program.binary()), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, timeout=900)
        self.text = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0, f"{' '.join(map(str, arguments))}: {self.text[-3000:]}"
        self.peak = int(peak.read_text()) * 1024

    def planned(self):
        number, unit = re.search(r"memory +peak ([\d.]+) (\w+)", self.text).groups()
        return float(number) * UNITS[unit]

    def assert_as_planned(self):
        ratio = self.peak / self.planned()
        assert 0.85 <= ratio <= 1.15, f"peak {self.peak / 2**20:.0f} MiB, planned {self.planned() / 2**20:.0f} MiB: {ratio:.2f}"


def weight_bytes(out):
    return json.loads((out / "report.json").read_text())["size_bytes"]["output"]
