"""A rough measure of C++ functions by braces: where they begin and end, and how deep they nest.

It knows comments, strings and preprocessor lines, and tells namespaces, types, functions, blocks
and initialisers apart by the text before a brace. That is enough to find what is far too long.
"""

import re
from dataclasses import dataclass

BLANKED = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
    r"|^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*",
    re.DOTALL | re.MULTILINE)
DIGIT_MARK = re.compile(r"(?<=[0-9A-Fa-f])'(?=[0-9A-Fa-f])")
TYPE_HEAD = re.compile(r"\b(class|struct|union|enum)\b[^()=]*$")
MEMBER_INITIALISER = re.compile(r"\)\s*(noexcept\s*)?:\s.*\w$", re.DOTALL)
BLOCK_HEAD = re.compile(r"(\)|\belse|\bdo|\btry|\]|:)$|\)\s*(noexcept|mutable|->[^;{}]*)+$")


@dataclass
class Function:
    head: str  # the text before the brace, for messages
    first_line: int
    lines: int = 0
    nesting: int = 0  # blocks inside blocks; 0 = straight code

    @property
    def parameters(self):
        return count_parameters(self.head)


def blank(text):
    """The text with comments, literals and preprocessor lines as spaces; lines stay in place."""
    text = DIGIT_MARK.sub(" ", text)
    return BLANKED.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def kind_of(head, inside_function):
    """What a brace opens, by the text since the last `;`, `{` or `}`."""
    if inside_function:
        return "block" if not head or BLOCK_HEAD.search(head) else "value"
    if re.search(r"\bnamespace\b", head) or head.startswith('extern'):
        return "outer"
    if TYPE_HEAD.search(head):
        return "outer"
    if ")" in head and not head.endswith("="):
        return "function"
    return "value"


def without_comments(text):
    """The text with comments and preprocessor lines as spaces; literals and lines stay."""
    return BLANKED.sub(lambda m: m.group() if m.group()[0] in "\"'R"
                       else re.sub(r"[^\n]", " ", m.group()), text)


def in_head(head):
    """Whether a brace behind this text is a default value or a member's initialiser."""
    return not head.endswith((")", "]")) and (
        head.count("(") > head.count(")") or MEMBER_INITIALISER.search(head))


def count_parameters(head):
    """The parameters of a function, by the text before its brace: commas at the top of its list."""
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)|(?<=operator)\(\)|->", "", head)
    depth, commas, empty = 1, 0, True
    for mark in head.partition("(")[2]:
        depth += (mark in "([{<") - (mark in ")]}>")
        if depth == 0:
            break
        commas += mark == "," and depth == 1
        empty = empty and mark.isspace()
    return 0 if empty else commas + 1


def functions(text):
    """Every function of a file, in order."""
    text = blank(text)
    found = []
    stack = []  # (kind, Function or None)
    head_start = 0
    for match in re.finditer(r"[;{}]", text):
        at, mark = match.start(), match.group()
        head = text[head_start:at].strip()
        if mark == "{":
            inside = next((f for kind, f in reversed(stack) if f), None)
            if inside is None and in_head(head):
                stack.append(("head", None))
                continue
            kind = kind_of(head, inside is not None)
            if kind == "function":
                begin = at - len(text[head_start:at].lstrip())
                inside = Function(" ".join(head.split()), text.count("\n", 0, begin) + 1)
                found.append(inside)
            stack.append((kind, inside if kind in ("function", "block", "value") else None))
            if inside is not None:
                depth = sum(1 for k, f in stack if k == "block" and f is inside)
                inside.nesting = max(inside.nesting, depth)
        elif mark == "}" and stack:
            kind, function = stack.pop()
            if kind == "head":
                continue
            if kind == "function":
                function.lines = text.count("\n", 0, at) + 2 - function.first_line
        head_start = at + 1
    return found
