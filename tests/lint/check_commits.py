"""The subjects of commits: one line of at most 72 characters, begun with a capital letter, without
a full stop, about work that is done. Merge commits may say what git says.

Commits up to BASE are older than this check. Where the history is not at hand (no git, an unpacked
archive, a shallow clone) there is nothing to check: exit code 77, which ctest counts as skipped.
"""

import re
import shutil
import subprocess
import sys

import repo

BASE = "38161c925e839b68d1884ade24ad9c9693268704"
LONGEST = 72
SKIPPED = 77

UNFINISHED = re.compile(r"\bWIP\b|^(?:fixup|squash|amend)!|\bwork in progress\b|\bunfinished\b"
                        r"|\bnot (?:yet )?tested\b|\buntested\b", re.IGNORECASE)


def git(source, *words):
    """What git prints, or None when it fails."""
    run = subprocess.run(["git", "-C", source, *words], capture_output=True, text=True, check=False)
    return run.stdout if run.returncode == 0 else None


def why_no_history(source):
    """The reason why commits since BASE cannot be listed, or an empty text."""
    if not shutil.which("git"):
        return "git is not installed"
    if git(source, "rev-parse", "--git-dir") is None:
        return "the source folder is no git repository"
    if git(source, "merge-base", "--is-ancestor", BASE, "HEAD") is None:
        return f"the history does not reach back to {BASE[:7]}"
    return ""


def complaints(subject):
    if len(subject) > LONGEST:
        yield f"{len(subject)} characters, the limit is {LONGEST}"
    if not subject[:1].isupper():
        yield "does not begin with a capital letter"
    if subject.endswith("."):
        yield "ends with a full stop"
    if found := UNFINISHED.search(subject):
        yield f'"{found.group()}" is unfinished work'


def main():
    source = repo.arguments(__doc__).source
    if reason := why_no_history(source):
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    log = git(source, "log", "--no-merges", "--format=%h %s", f"{BASE}..HEAD").splitlines()
    problems = []
    for commit, _, subject in (line.partition(" ") for line in log):
        problems += [f"{commit} {subject}: {complaint}" for complaint in complaints(subject)]
    repo.finish(problems, 1 + len(log))  # BASE itself was found


if __name__ == "__main__":
    main()
