"""One case: runs of the program in a folder of its own, and a line for everything they make."""
import hashlib
import os
import pathlib
import re
import stat
import subprocess
from dataclasses import dataclass

import scrub

ORDINARY_MODE = 0o644
TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Program:
    path: pathlib.Path
    threads: int | None
    known_files: frozenset  # (name, SHA-256) of the files of the inputs


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def outcome(done, left):
    """What a line says behind the name of a run: nothing when it succeeded."""
    if done.returncode == 0:
        return ""
    code = re.search(rb"error\[(E\d+)\]", done.stderr)
    behind = f" left behind: {', '.join(sorted(left))}" if left else ""
    return f" exit={done.returncode} {code.group(1).decode() if code else 'no-error'}{behind}"


class Case:
    """Every path that a run is given is relative to `folder`, in which `in` holds the inputs."""

    def __init__(self, name, program, root):
        self.name, self.program, self.root = name, program, root
        self.folder = root / name
        self.folder.mkdir(parents=True)
        (self.folder / "in").symlink_to(os.path.relpath(root / "in", self.folder))
        self.lines = []
        self.seen = set(program.known_files)

    def add(self, digest, what):
        self.lines.append(f"{digest}  {self.name}/{what}")

    def run(self, label, *words, stdin=b"", plain=False):
        """Runs `pare words...`, adds a line for what it says. -> whether it succeeded

        plain: never adds an option to the words.
        """
        command = [str(self.program.path), *map(str, words)]
        if self.program.threads and not plain and "--threads" not in words:
            command += ["--threads", str(self.program.threads)]
        before = set(os.listdir(self.folder))
        done = subprocess.run(command, cwd=self.folder, input=stdin, capture_output=True,
                              timeout=TIMEOUT_SECONDS, check=False)
        left = set(os.listdir(self.folder)) - before
        said = scrub.text(done.stdout, self.root) + b"--\n" + scrub.text(done.stderr, self.root)
        kept = self.folder / f"{label}.said"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(said)
        self.add(sha256(said), f"{label}.said{outcome(done, left)}")
        return done.returncode == 0

    def make(self, label, *words, out="-o"):
        """`run` with `-o label`, and a line for each file made. -> whether it succeeded"""
        fine = self.run(label, *words, out, label)
        self.files(label)
        return fine

    def files(self, label):
        """Lines for a folder or a file, if it is there.

        Files that an input or an earlier folder of this case has as well (tokenizers, say) share a
        line, and so do the .dat files of a folder, of which there is one for each weight.
        """
        together = {}
        for path in self.paths_below(self.folder / label):
            if path.name == "report.json":
                scrub.file(path, self.root)
            digest, name = sha256(path.read_bytes()), path.relative_to(self.folder)
            mode = stat.S_IMODE(path.stat().st_mode)
            if path.suffix == ".dat":
                together.setdefault(f"{name.parent}/*.dat", []).append((digest, name, mode))
            elif (path.name, digest) in self.seen:
                together.setdefault(f"{label}/(files seen before)", []).append((digest, name, mode))
            else:
                self.seen.add((path.name, digest))
                self.add(digest, f"{name}{'' if mode == ORDINARY_MODE else f' mode={mode:04o}'}")
        for name, entries in together.items():
            text = "".join(f"{digest} {path} {mode:04o}\n" for digest, path, mode in entries)
            self.add(sha256(text.encode()), name)

    @staticmethod
    def paths_below(path):
        if path.is_file():
            return [path]
        return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else []

    def look(self, folder, *kinds):
        """What the reading commands say about a folder that was made."""
        for kind in kinds:
            verb, *options = kind.split()
            self.run(f"{folder}.{kind.replace(' --', '-')}", verb, folder, *options)
