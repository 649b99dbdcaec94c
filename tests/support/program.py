"""Finds and runs the program under test."""
import json
import os
import pathlib
import subprocess

PROJECT_ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = PROJECT_ROOT / "tests" / "golden"


def binary():
    return pathlib.Path(os.environ.get("PARE_BIN", PROJECT_ROOT / "build" / "release" / "bin" / "pare"))


def shared_folder():
    return pathlib.Path(os.environ.get("PARE_SHARED", PROJECT_ROOT.parent / "shared"))


def run(*arguments, exit_code=0, stdin=None, timeout=600):
    """Runs `pare arguments…` and returns the finished process; any other exit code (None = all are fine) fails with what was printed."""
    command = [str(binary()), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout)
    if exit_code is not None and done.returncode != exit_code:
        raise AssertionError(
            f"{' '.join(command)}\nexit code {done.returncode}, expected {exit_code}\n"
            f"stdout: {done.stdout.decode(errors='replace')[-2000:]}\nstderr: {done.stderr.decode(errors='replace')[-4000:]}")
    return done


def run_json(*arguments):
    """The one JSON object that a command prints with --json: its last line that is an object."""
    output = run(*arguments, "--json").stdout.decode()
    try:
        return json.loads(output)
    except json.JSONDecodeError:
        objects = [line for line in output.splitlines() if line.startswith("{")]
        assert objects, f"no JSON object in: {output[-2000:]}"
        return json.loads(objects[-1])


def perplexity(folder):
    """Of a little of the demo text: enough to tell whether two folders compute the same."""
    text = PROJECT_ROOT / "demo" / "text.txt"
    return run_json("eval", folder, "--ppl", text, "--context", 128, "--windows", 2)["perplexity"]
