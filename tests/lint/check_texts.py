"""What the texts of the project may say, and that they are true where that can be checked.

No forgotten notes to oneself, no paths of somebody's machine; links that lead somewhere; pages of
readable width; first lines that say what a file is for; error codes that are unique and used.
"""

import re
from collections import Counter

import repo

TEXT = {".cpp", ".h", ".inc", ".def", ".cmake", ".txt", ".md", ".py", ".sh", ".yaml", ".yml",
        ".json", ".ini", ""}
# Prose and tables made by others or for a model's eyes, where any word may occur.
DATA = ("demo/", "tests/golden/")

# Written so that this file does not hold what it looks for.
FORBIDDEN = [
    (re.compile(r"\bTO" r"DO\b|\bFIX" r"ME\b|\bX" r"XX\b"), "a note to oneself"),
    (re.compile(r"\bstub" r"s?\b|\bplace" r"holders?\b", re.IGNORECASE), "unfinished work"),
    (re.compile(r"\bfor " r"now\b", re.IGNORECASE), "unfinished work"),
    (re.compile(r"(?<![\w.$}/])/(?:ho" r"me|wo" r"rk|ro" r"ot)(?:/|\b)"), "a path of one machine"),
]

PAGE_WIDTH = 120
# Pages wider than that, which the next rewriting wraps. One that is narrow may not stay here.
WIDE_PAGES = set()

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ERROR = re.compile(r"^PARE_ERROR\((\w+), (\d+), (\w+), \"([^\"]+)\"\)", re.MULTILINE)


def is_text(path):
    if str(path).startswith(DATA):
        return path.suffix in {".py", ".md"}
    return path.suffix in TEXT and path.name != "LICENSE"


def check_words(source, path):
    for number, line in enumerate((source / path).read_text().splitlines(), 1):
        for pattern, what in FORBIDDEN:
            if found := pattern.search(line):
                yield f'{path}:{number}: "{found.group()}" is {what}'


def without_fences(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def prose(text):
    """Markdown without code, where brackets mean something else."""
    return re.sub(r"`[^`\n]*`", "", without_fences(text))


def anchors(text):
    """The anchors that a page's headings give it, as Git hosts make them."""
    headings = re.findall(r"^#+ +(.+)$", without_fences(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def check_links(source, path):
    for target in LINK.findall(prose((source / path).read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = source / path.parent / name if name else source / path
        if not file.exists():
            yield f"{path}: the link to {target} leads nowhere"
        elif anchor and anchor not in anchors(file.read_text()):
            yield f"{path}: {target} has no such heading"


def wide_lines(text):
    """The prose lines of a page that are too wide: no code, no row of a table, no lone address."""
    blanked = re.sub(r"^```.*?^```", lambda m: "\n" * m.group().count("\n"), text,
                     flags=re.DOTALL | re.MULTILINE)
    for number, line in enumerate(blanked.splitlines(), 1):
        if len(line) > PAGE_WIDTH and not line.startswith("|") and " " in line.strip("-* "):
            yield number, len(line)


def check_width(source, path):
    wide = list(wide_lines((source / path).read_text()))
    if str(path) not in WIDE_PAGES:
        for number, columns in wide:
            yield f"{path}:{number}: {columns} columns, the limit is {PAGE_WIDTH}"
    elif not wide:
        yield f"check_texts.py: {path} needs no exception for its width any more"


def check_first_line(source, path):
    """Headers, lists and plug-ins say what they are; a .cpp with a header of its own need not."""
    if path.parts[0] not in ("src", "apps") or path.suffix not in {".h", ".cpp", ".inc", ".def"}:
        return
    if path.suffix == ".cpp" and (source / path).with_suffix(".h").exists():
        return
    if not (source / path).read_text().startswith("// "):
        yield f"{path}: the first line is no comment saying what the file is"


def check_errors(source, files):
    """Every code once, used by the program; lists those that no test names."""
    errors = ERROR.findall((source / "include/pare/errors.def").read_text())
    if not errors:
        yield "include/pare/errors.def: no codes found"
    for column, what in ((0, "name"), (1, "number"), (3, "title")):
        for value, count in Counter(e[column] for e in errors).items():
            if count > 1:
                yield f'include/pare/errors.def: the {what} "{value}" stands {count} times'
    code, tests = [], []
    for path in files:
        if path.parts[0] in ("src", "apps") and path.suffix in {".cpp", ".h"}:
            code.append((source / path).read_text())
        elif path.parts[0] == "tests" and path.suffix in {".cpp", ".py", ".h"}:
            tests.append((source / path).read_text())
    code, tests = "\n".join(code), "\n".join(tests)
    for name, number, _, _ in errors:
        if not re.search(rf"\bErrorCode::{name}\b", code):
            yield f"include/pare/errors.def: {name} is never used"
        if not re.search(rf"\bErrorCode::{name}\b|\bE{int(number):04}\b", tests):
            print(f"no test names E{int(number):04} {name}")


def main():
    args = repo.arguments(__doc__)
    files = repo.project_files(args.source)
    problems = []
    for path in filter(is_text, files):
        problems += check_words(args.source, path)
        problems += check_first_line(args.source, path)
        if path.suffix == ".md":
            problems += check_links(args.source, path)
            problems += check_width(args.source, path)
    problems += check_errors(args.source, files)
    repo.finish(problems, len(files))


if __name__ == "__main__":
    main()
