#!/usr/bin/env python3
"""Adds up the JUnit files of one test run and prints `N passed, N failed, N skipped`.

Usage: test_summary.py FOLDER. Exits with 1 when a test failed or when nothing passed.
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def outcome(case):
    """`failed`, `skipped` or `passed`, for one <testcase> of ctest or pytest."""
    tags = {child.tag for child in case}
    if tags & {"failure", "error"}:
        return "failed"
    # ctest also writes <skipped> for a test whose program is missing; a real skip names its property.
    if case.get("status") == "notrun" and not case.find("skipped").get("message").startswith("SKIP_"):
        return "failed"
    if "skipped" in tags or case.get("status") == "disabled":
        return "skipped"
    return "passed"


def main():
    files = sorted(Path(sys.argv[1]).glob("*.xml"))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for file in files:
        for case in ElementTree.parse(file).iter("testcase"):
            counts[outcome(case)] += 1
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
