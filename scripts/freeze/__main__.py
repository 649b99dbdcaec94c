"""Command line of scripts/freeze.sh: runs every case and writes the manifest."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

import cases_check
import cases_convert
import cases_errors
import cases_grid
import cases_measure
import cases_packed
import cases_tuning
import cases_words
import inputs
from case import Case, Program

# The longest cases come first, so that none is left over for a single core at the end.
GROUPS = (cases_tuning, cases_grid, cases_convert, cases_measure, cases_packed, cases_check,
          cases_errors, cases_words)
HEADING = "# What pare makes, by scripts/freeze.sh; docs/TESTING.md explains it\n"


def arguments():
    parser = argparse.ArgumentParser(prog="freeze.sh")
    parser.add_argument("pare", type=pathlib.Path)
    parser.add_argument("manifest", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR")
    return parser.parse_args()


def all_cases(only):
    """(name, work) of every case that is asked for; names are unique."""
    found = [case for group in GROUPS for case in group.cases()]
    names = [name for name, _ in found]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"two cases have the name {twice}"
    return [(name, work) for name, work in found if only.search(name)]


def run_case(name, work, program, root, keep):
    """-> the lines of one case"""
    case = Case(name, program, root)
    work(case)
    if not keep:
        shutil.rmtree(case.folder)
    return case.lines


def run_all(cases, program, root, options):
    lines = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(run_case, name, work, program, root, options.keep)
                   for name, work in cases]
        try:
            for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
                lines += future.result()
                if number % 50 == 0:
                    print(f"{number} of {len(futures)} cases", file=sys.stderr)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return lines


def write_manifest(path, lines):
    lines = sorted(lines, key=name_in)
    for line, following in zip(lines, lines[1:]):
        assert name_in(line) != name_in(following), f"two lines for {name_in(line)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADING + "".join(line + "\n" for line in lines))


def name_in(line):
    return line.split("  ", 1)[1]


def working_folder(keep):
    if keep is None:
        return pathlib.Path(tempfile.mkdtemp(prefix="pare-freeze-")).resolve()
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        sys.exit(f"freeze.sh: {keep} is not empty")
    return keep.resolve()


def main():
    options = arguments()
    if not os.access(options.pare, os.X_OK):
        sys.exit(f"freeze.sh: no program at {options.pare}; scripts/build.sh makes it")
    cases = all_cases(options.only)
    if not cases:
        sys.exit(f"freeze.sh: no case matches {options.only.pattern}")
    os.umask(0o022)  # modes of files are frozen as well
    started = time.monotonic()
    root = working_folder(options.keep)
    try:
        inputs.make(root / "in")
        program = Program(options.pare.resolve(), options.threads, inputs.known_files(root / "in"))
        lines = run_all(cases, program, root, options)
    finally:
        if not options.keep:
            shutil.rmtree(root, ignore_errors=True)
    write_manifest(options.manifest, lines)
    print(f"{len(cases)} cases, {len(lines)} lines, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
