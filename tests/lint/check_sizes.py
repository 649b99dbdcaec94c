"""Small files and short functions. Prints what deserves another look, fails at the hard limits.

An exception needs a line in EXCEPTIONS with its reason.
"""

import cpp_functions
import repo

# What a file is: (look again, hard limit) in lines.
FILE_LIMITS = {"header": (300, 400), "source": (500, 800), "plug-in": (400, 600),
               "test": (600, 800)}
FUNCTION_LOOK = 50
FUNCTION_LIMIT = 80
KERNEL_LIMIT = 120
NESTING_LIMIT = 4

CODE = {".cpp", ".h", ".inc"}
SIZED = CODE | {".def", ".py", ".sh", ".cmake"}

# "path" for a whole file, "path: start of the function" for one function.
EXCEPTIONS = {
}


def kind_of_file(path, plugins):
    if path.parts[0] in ("tests", "bench"):
        return "test"
    if path.parent in plugins:
        return "plug-in"
    return "header" if path.suffix == ".h" else "source"


def measure(source, plugins):
    """(name in messages, figure, what, look again, hard limit) of everything that has a size."""
    for path in repo.project_files(source):
        if path.suffix not in SIZED:
            continue
        text = (source / path).read_text()
        yield str(path), text.count("\n"), "lines", *FILE_LIMITS[kind_of_file(path, plugins)]
        if path.suffix not in CODE:
            continue
        limit = KERNEL_LIMIT if path.parts[:2] == ("src", "kernels") else FUNCTION_LIMIT
        for function in cpp_functions.functions(text):
            where = f"{path}:{function.first_line}: {function.head[:60]}"
            yield where, function.lines, "lines", FUNCTION_LOOK, limit
            yield where, function.nesting, "nested blocks", NESTING_LIMIT, NESTING_LIMIT


def exception_for(where):
    """The exception a measured thing falls under; line numbers do not count."""
    path, _, rest = where.partition(":")
    function = rest.partition(": ")[2]
    for name in EXCEPTIONS:
        file, _, head = name.partition(": ")
        if file == path and bool(head) == bool(function) and function.startswith(head):
            return name
    return None


def main():
    args = repo.arguments(__doc__)
    plugins = set(repo.plugin_folders(args.source))
    problems, used, checked = [], set(), 0
    for where, figure, what, look, limit in measure(args.source, plugins):
        checked += 1
        if figure > limit:
            exception = exception_for(where)
            used.add(exception)
            if exception is None:
                problems.append(f"{where}: {figure} {what}, the limit is {limit}")
        elif figure > look:
            print(f"look again: {where}: {figure} {what}")
    for name in EXCEPTIONS.keys() - used:
        problems.append(f"check_sizes.py: {name} needs no exception any more")
    repo.finish(problems, checked)


if __name__ == "__main__":
    main()
