"""No entry of a registry is told apart by its id, except in the file that defines it. What differs
between entries is a field of their descriptor, which the next entry fills in, too.

An entry is a constant in src/ of a type whose declaration begins with `std::string_view id`
(Method, Layout, Target, Protocol, ...), and its first value is its id. In src/ and apps/ three
things are found, and nothing else:

- `layout->id == "npy"`: `==` or `!=` between a literal that is the id of an entry and something
  that ends in `id` or `id()`, either way round
- the same with a constant (`kNpy`) whose value is such a literal
- `find_layout("gptq")`: such a literal or constant among the arguments of a function that a
  header of src/ declares as `find_...(std::string_view id)`

Words that stand in files (`quant_method == "gptq"`, model types, classes) are no ids: what they
are compared with does not end in `id`.
"""

import re

import cpp_functions
import repo

CODE = {".cpp", ".h", ".inc"}
TYPE = re.compile(r"\bstruct (\w+)\s*\{\s*std::string_view id\b")
LOOKUP = re.compile(r"\b(find_\w+)\(std::string_view id\)")
CONSTANT = re.compile(r'\bconst(?:expr|init)?\b[^;={}()]*\b(k[A-Z]\w*)\s*=\s*"([^"\n]*)";')
LITERAL = r'"[^"\n]*"|\bk[A-Z]\w*'
ENDS_IN_ID = r"\bid(?:\(\))?\)*"
COMPARED = re.compile(rf"{ENDS_IN_ID}\s*[!=]=\s*({LITERAL})"
                      rf"|({LITERAL})\s*[!=]=\s*[\w.>\-:()\[\]*&]*?{ENDS_IN_ID}(?![\w(.\-\[])")

# (path, id): the reason. An exception may not outlive its need.
EXCEPTIONS = {}


def read_code(source):
    """The code files of src/ and apps/ without comments, by path."""
    return {path: cpp_functions.without_comments((source / path).read_text())
            for path in repo.project_files(source)
            if path.parts[0] in ("src", "apps") and path.suffix in CODE}


def entries(code):
    """The files that define each id: {id: {path, ...}}."""
    types = {name for path, text in code.items() if path.parts[0] == "src"
             for name in TYPE.findall(text)}
    entry = re.compile(rf"\b(?:{'|'.join(sorted(types)) or '(?!)'})(?:\s+\w+)?\s*(?:=\s*)?"
                       r'\{\s*(?:\.id\s*=\s*)?"([^"\n]+)"')
    found = {}
    for path, text in code.items():
        for name in entry.findall(text) if path.parts[0] == "src" else ():
            found.setdefault(name, set()).add(path)
    return found


def arguments_of_calls(text, functions):
    """(where it begins, the text between the parentheses) of every call of the functions."""
    for call in re.finditer(rf"\b(?:{'|'.join(sorted(functions)) or '(?!)'})\(", text):
        depth, end = 1, call.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield call.start(), text[call.end():end - 1]


def uses(text, lookups):
    """(where, literal or constant) of everything that may tell an entry by its id."""
    for match in COMPARED.finditer(text):
        yield match.start(), match[1] or match[2]
    for at, arguments in arguments_of_calls(text, lookups):
        for literal in re.findall(LITERAL, arguments):
            yield at, literal


def main():
    args = repo.arguments(__doc__)
    code = read_code(args.source)
    defined = entries(code)
    lookups = {name for path, text in code.items() if path.suffix == ".h"
               for name in LOOKUP.findall(text)}
    constants = {name: value for text in code.values() for name, value in CONSTANT.findall(text)}
    problems = [f"{folder}: no entry with an id was found"
                for folder in repo.plugin_folders(args.source)
                if not any(folder == path.parent for paths in defined.values() for path in paths)]
    used = set()
    for path, text in code.items():
        for at, literal in uses(text, lookups):
            name = literal.strip('"') if literal[0] == '"' else constants.get(literal)
            if name not in defined or path in defined[name]:
                continue
            used.add((str(path), name))
            if (str(path), name) not in EXCEPTIONS:
                line = text.count("\n", 0, at) + 1
                problems.append(f'{path}:{line}: the id "{name}" decides; '
                                "what differs belongs into the descriptor")
    for path, name in sorted(EXCEPTIONS.keys() - used):
        problems.append(f'check_ids.py: {path} needs no exception for "{name}" any more')
    repo.finish(problems, len(defined))


if __name__ == "__main__":
    main()
