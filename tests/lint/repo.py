"""What the lint tests share: the files of the project, the CMake room lists, and how to report."""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path


def arguments(description):
    """Command line of every lint test: the source tree, and the build tree where one is needed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("source", type=Path)
    parser.add_argument("build", type=Path, nargs="?")
    return parser.parse_args()


def project_files(source):
    """Paths, relative to `source`, of every file that is or could be committed."""
    if shutil.which("git"):
        listing = subprocess.run(
            ["git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=False)
        names = set(listing.stdout.decode().split("\0")) - {""}
        if listing.returncode == 0 and names:
            return sorted(Path(n) for n in names if (source / n).is_file())
    skipped = {".git", "build", "__pycache__", ".pytest_cache"}  # an unpacked archive
    found = (p.relative_to(source) for p in source.rglob("*") if p.is_file())
    return sorted(p for p in found if not skipped.intersection(p.parts))


def cmake_rooms(source):
    """The pare_room calls of the root CMakeLists: {room: {"ROOMS": [], "LINKS": [], "LISTS": []}}."""
    text = re.sub(r"#.*", "", (source / "CMakeLists.txt").read_text())
    rooms = {}
    for call in re.findall(r"pare_room\(([^)]*)\)", text):
        name, *words = call.split()
        room = rooms[name] = {"ROOMS": [], "LINKS": [], "LISTS": []}
        key = None
        for word in words:
            if word in room:
                key = word
            else:
                room[key].append(word)
    return rooms


def plugin_folders(source):
    """Folders such as src/quant/methods, whose every file stands as one line in a .def list."""
    patterns = [(room, entry.split("=")[1])
                for room, lists in cmake_rooms(source).items() for entry in lists["LISTS"]]
    return [Path("src", room, pattern.removesuffix("/*"))
            for room, pattern in patterns if pattern.endswith("/*")]


def finish(problems, checked):
    """Prints the problems and ends the test. Having checked nothing is a problem, too."""
    if not checked:
        problems = [*problems, "nothing was checked: is the source folder right?"]
    for problem in problems:
        print(problem)
    print(f"{checked} checked, {len(problems)} problems")
    sys.exit(1 if problems else 0)
