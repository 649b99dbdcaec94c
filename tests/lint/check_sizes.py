"""Small files, short functions and folders with few files. Prints what deserves another look,
fails at the hard limits.

An exception needs a line in EXCEPTIONS with its reason, and may not outlive its need.
"""

from collections import Counter

import cpp_functions
import repo

# What a file is: (look again, hard limit) in lines.
FILE_LIMITS = {"header": (300, 400), "source": (500, 800), "plug-in": (400, 600),
               "test": (600, 800)}
FUNCTION_LOOK = 50
FUNCTION_LIMIT = 80
KERNEL_LIMIT = 120
NESTING_LIMIT = 4
PARAMETERS_LOOK, PARAMETERS_LIMIT = 5, 6
FOLDER_LOOK, FOLDER_LIMIT = 20, 25

CODE = {".cpp", ".h", ".inc"}
SIZED = CODE | {".def", ".py", ".sh", ".cmake"}

LOOP = "a loop over numbers: addresses, lengths and constants, one register each"
MANY = "wants a struct for some of what it is given"
# (where, what): the reason. Where is a path, or "path: start of the function".
EXCEPTIONS = {
    ("src/codec/rans/rans_decode_avx512vbmi2.cpp: template <bool Ending> inline void feed(",
     "parameters"): LOOP,
    ("src/codec/stream/tile_decoder.cpp: const char* open_rans(", "parameters"): MANY,
    ("src/kernels/attention.cpp: void attention(", "parameters"): MANY,
    ("src/kernels/attention.cpp: void score(", "parameters"): LOOP,
    ("src/kernels/variants/gemm_bf16_amx.cpp: inline void multiply_full(", "parameters"): LOOP,
    ("src/kernels/variants/gemm_bf16_amx.cpp: inline void multiply_half(", "parameters"): LOOP,
    ("src/kernels/variants/gemm_slab_f32.inc: template <int R> inline void run_rows(", "parameters"): LOOP,
    ("src/kernels/quantize.cpp: void quantize_any(", "parameters"): LOOP,
    ("src/kernels/quantize.cpp: void quantize_row(", "parameters"): LOOP,
    ("src/model/block.cpp: void attend_sequence(", "parameters"): MANY,
    ("src/pipeline/pack/nz_layout.cpp: void fill_block(", "parameters"): MANY,
    ("tests/support/made_up_model.h: inline quant::QuantizedLinear made_up_linear(",
     "parameters"): MANY,
}


def kind_of_file(path, plugins):
    if path.parts[0] in ("tests", "bench"):
        return "test"
    if path.parent in plugins:
        return "plug-in"
    return "header" if path.suffix == ".h" else "source"


def folders(files):
    """The C++ files of every folder, as `measure` gives them."""
    counts = Counter(str(path.parent) for path in files
                     if path.suffix in CODE and path.parts[0] in ("include", "src", "apps", "tests"))
    for folder, count in counts.items():
        yield folder, count, "code files", FOLDER_LOOK, FOLDER_LIMIT


def measure(source, plugins):
    """(name in messages, figure, what, look again, hard limit) of everything that has a size."""
    files = repo.project_files(source)
    yield from folders(files)
    for path in files:
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
            yield where, function.parameters, "parameters", PARAMETERS_LOOK, PARAMETERS_LIMIT


def exception_for(where, what):
    """The exception a measured thing falls under; line numbers do not count."""
    path, _, rest = where.partition(":")
    function = rest.partition(": ")[2]
    for name, kind in EXCEPTIONS:
        file, _, head = name.partition(": ")
        same_place = file == path and bool(head) == bool(function) and function.startswith(head)
        if same_place and kind == what:
            return name, kind
    return None


def main():
    args = repo.arguments(__doc__)
    plugins = set(repo.plugin_folders(args.source))
    problems, used, checked = [], set(), 0
    for where, figure, what, look, limit in measure(args.source, plugins):
        checked += 1
        if figure > limit:
            exception = exception_for(where, what)
            used.add(exception)
            if exception is None:
                problems.append(f"{where}: {figure} {what}, the limit is {limit}")
        elif figure > look:
            print(f"look again: {where}: {figure} {what}")
    for name, what in sorted(EXCEPTIONS.keys() - used):
        problems.append(f"check_sizes.py: {name} needs no exception for its {what} any more")
    repo.finish(problems, checked)


if __name__ == "__main__":
    main()
