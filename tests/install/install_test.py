"""Installs the library into a temporary folder, builds a program against it, and uses it.

    install_test.py SOURCE_DIR BUILD_DIR COMPILER
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

COMPILER = sys.argv.pop()
SOURCE, BUILD = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
del sys.argv[1:]
# What differs from run to run in report.json.
MEASURED = {"seconds", "peak_rss_bytes"}


def run(*words):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def contents(folder):
    """{name: bytes} of every file; of report.json what does not depend on the machine's load."""
    files = {str(path.relative_to(folder)): path.read_bytes()
             for path in folder.rglob("*") if path.is_file()}
    report = json.loads(files["report.json"])
    files["report.json"] = {key: value for key, value in report.items() if key not in MEASURED}
    return files


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kept = tempfile.TemporaryDirectory(prefix="pare-install-")
        cls.addClassCleanup(cls.kept.cleanup)
        cls.root = Path(cls.kept.name)
        cls.prefix = cls.root / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)

    def test_a_program_makes_what_pare_makes(self):
        model, calib = SOURCE / "demo/model", SOURCE / "demo/calib.jsonl"
        run("cmake", "-G", "Ninja",  # as the project itself: make need not be installed
            "-S", SOURCE / "tests/install/program", "-B", self.root / "build",
            f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={COMPILER}",
            "-DCMAKE_BUILD_TYPE=Release")
        run("cmake", "--build", self.root / "build")
        said = run(self.root / "build/quantize", model, calib, self.root / "own")
        self.assertIn("  verified   ", said)
        run(self.prefix / "bin/pare", "quantize", model, "-o", self.root / "pares",
            "--scheme", "w8a8", "--calib", calib)
        own, pares = contents(self.root / "own"), contents(self.root / "pares")
        self.assertGreater(len(own), 5)
        self.assertEqual(own.keys(), pares.keys())
        for name, held in own.items():
            self.assertEqual(held, pares[name], name)

    def test_every_header_stands_alone(self):
        headers = sorted((self.prefix / "include/pare").glob("*.h"))
        self.assertEqual([h.name for h in headers],
                         sorted(h.name for h in (SOURCE / "include/pare").glob("*.h")))
        for header in headers:
            run(COMPILER, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++",
                "-I", self.prefix / "include", "-include", header, "/dev/null")

    def test_the_readme_shows_the_program(self):
        program = (SOURCE / "tests/install/program/quantize.cpp").read_text()
        shown = (SOURCE / "README.md").read_text().split("```cpp\n")[1].split("```")[0]
        for line in shown.strip().splitlines():
            self.assertIn(line.strip(), program)
        cmake = (SOURCE / "tests/install/program/CMakeLists.txt").read_text()
        for line in (SOURCE / "README.md").read_text().split("```cmake\n")[1].split("```")[0].splitlines():
            self.assertIn(line, cmake)


if __name__ == "__main__":
    unittest.main()
