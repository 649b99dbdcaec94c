"""Takes the worked example of a HOWTO page apart: the file, and the list with its one line more.

    extract.py PAGE SOURCE_DIR OUT_DIR

`<!-- compiled: PATH -->` and `<!-- line: PATH -->` before a fenced block say what it is. Both are
written under OUT_DIR as they would stand under src/, so that OUT_DIR can come first on the include
path. Prints the path of the example's source file.
"""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"<!-- (compiled|line): src/(\S+) -->\n```cpp\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def write(path, text):
    """Leaves a file that is right already alone, so that nothing is compiled for nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main():
    page, source, out = map(Path, sys.argv[1:])
    blocks = {kind: (path, text) for kind, path, text in BLOCK.findall(page.read_text())}
    if blocks.keys() != {"compiled", "line"}:
        sys.exit(f"{page}: needs one compiled block and one line, found {sorted(blocks)}")
    path, code = blocks["compiled"]
    write(out / path, code)
    path_of_list, line = blocks["line"]
    if line.count("\n") != 1:
        sys.exit(f"{page}: the promise is one line, these are {line.count(chr(10))}")
    write(out / path_of_list, (source / "src" / path_of_list).read_text() + line)
    print(out / path)


if __name__ == "__main__":
    main()
