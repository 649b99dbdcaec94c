"""The include graph: who may include whom stands in docs/ARCHITECTURE.md, section "Rooms".

Checks that every folder of src/ has a row, that the table agrees with the root CMakeLists.txt
(where a room and its sub-folders are one library), that every include keeps to it, that plug-ins
never include each other, that the program includes nothing but the public headers, these nothing
but C++'s own and each other, and that files compiled for one instruction set neither include
ordinary C++ headers nor, given a build folder, leave weak symbols in their objects. (The linker
keeps one copy of a weak function, which might be the one compiled for the newer CPU.)
"""

import re
import subprocess
from pathlib import Path

import repo

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
STANDARD = re.compile(r"[a-z_]+")
SOURCE_ENDINGS = {".h", ".cpp", ".inc", ".def"}
ISA_HEADERS = {"cstdint", "cstddef", "immintrin.h"}

# A library by the name the table uses: its CMake target, and how its headers begin.
LIBRARIES = {
    "fmt": ("fmt::fmt", "fmt/"),
    "Highway": ("PkgConfig::hwy", "hwy/"),
    "nlohmann-json": ("nlohmann_json::nlohmann_json", "nlohmann/"),
    "OpenSSL": ("OpenSSL::Crypto", "openssl/"),
    "xxHash": ("PkgConfig::xxhash", "xxhash"),
    "SentencePiece": ("PkgConfig::sentencepiece", "sentencepiece"),
    "PCRE2": ("PkgConfig::pcre2", "pcre2"),
    "ICU": ("PkgConfig::icu", "unicode/"),
    "yaml-cpp": ("yaml-cpp", "yaml-cpp/"),
    "CLI11": ("CLI11::CLI11", "CLI/"),
    "threads": ("Threads::Threads", None),
}


# Headers of include/pare: the manual of the library stays short enough to be read.
MOST_PUBLIC_HEADERS = 10


def words(cell):
    return [] if cell in ("", "none") else [w.strip(" `") for w in cell.split(",")]


def rows_of_table(source, heading):
    """The cells of every row of the table of docs/ARCHITECTURE.md whose first column is `heading`."""
    inside = False
    for line in (source / "docs/ARCHITECTURE.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if line.startswith(f"| {heading} |"):
            inside = True
        elif inside and line.startswith("|"):
            if not set(cells[0]) <= set("-: "):
                yield [cells[0].strip("`"), *cells[1:]]
        else:
            inside = False


def read_table(source):
    """Rows of the table in the order of the page: {room: (may include, libraries)}."""
    return {cells[0]: (words(cells[1]), words(cells[2]))
            for cells in rows_of_table(source, "room")}


def read_public(source):
    """The rooms whose types and functions a public header declares: {"pare/error.h": [room]}."""
    return {f"pare/{cells[0]}": words(cells[1])
            for cells in rows_of_table(source, "public header")}


def room_of(path, table):
    """The row for a file or header, given from src/: the deepest folder that has one, or None."""
    for folder in Path(path).parents:
        if folder.as_posix() in table:
            return folder.as_posix()
    return None


def library(room):
    """The library that a room is part of: sub-folders belong to that of the outermost folder."""
    return room.split("/")[0]


def libraries_in(table):
    """What the rows of each library say together: {library: (libraries it sees, packages)}."""
    together = {}
    for room, (allowed, packages) in table.items():
        rooms, links = together.setdefault(library(room), (set(), set()))
        rooms |= {library(other) for other in allowed} - {library(room)}
        links |= set(packages)
    return together


def check_table(source, table):
    """The table against CMake, and against cycles: a room names rooms above it only."""
    above = set()
    for room, (allowed, packages) in table.items():
        for lower in set(allowed) - above:
            yield f"docs/ARCHITECTURE.md: {room} may include {lower}, which stands no higher"
        above.add(room)
        for name in set(packages) - set(LIBRARIES):
            yield f"docs/ARCHITECTURE.md: check_layers.py does not know the library {name}"
        if not Path(source, "src", room).is_dir():
            yield f"docs/ARCHITECTURE.md: there is no folder src/{room}"
    cmake = repo.cmake_rooms(source)
    together = libraries_in(table)
    for room, (allowed, packages) in together.items():
        if room not in cmake:
            yield f"docs/ARCHITECTURE.md: room {room} is not in CMakeLists.txt"
            continue
        links = {LIBRARIES[name][0] for name in packages if name in LIBRARIES}
        for said, built, what in ((allowed, set(cmake[room]["ROOMS"]), "rooms"),
                                  (links, set(cmake[room]["LINKS"]), "libraries")):
            if said != built:
                yield (f"{room}: the {what} of docs/ARCHITECTURE.md and CMakeLists.txt differ by "
                       f"{', '.join(sorted(said ^ built))}")
    for room in cmake.keys() - together.keys():
        yield f"CMakeLists.txt: room {room} is missing in docs/ARCHITECTURE.md"


def includes(path):
    """(is quoted, header) of every include of a file."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return [(mark == '"', header) for mark, header in INCLUDE.findall(text)]


def library_of(header):
    for name, (_, prefix) in LIBRARIES.items():
        if prefix is not None and header.startswith(prefix):
            return name
    return None


def check_public(source, table, public):
    """include/pare against its table, and what its headers and apps/pare may include."""
    present = {f"pare/{path.name}" for path in (source / "include/pare").iterdir()}
    for header in sorted(present ^ public.keys()):
        yield f"docs/ARCHITECTURE.md: include/{header} stands only on one side of its table"
    headers = [header for header in present if header.endswith(".h")]
    if len(headers) > MOST_PUBLIC_HEADERS:
        yield f"include/pare: {len(headers)} headers, the limit is {MOST_PUBLIC_HEADERS}"
    for header, rooms in public.items():
        for room in set(rooms) - table.keys():
            yield f"docs/ARCHITECTURE.md: {header} is kept by {room}, which is no room"
    for header in sorted(present):
        for quoted, included in includes(source / "include" / header):
            if included not in public if quoted else not STANDARD.fullmatch(included):
                yield f"include/{header}: {included} is neither C++'s own nor public"


def check_program_file(source, file, public):
    for quoted, header in includes(source / file):
        own = (source / "apps/pare" / header).is_file()
        if quoted and header not in public and not own:
            yield f"{file}: {header} is not public; the program has what other programs have"


def check_quoted(file, header, room, table, plugins, public):
    if header in public:
        if not set(public[header]) & {room, *table[room][0]}:
            yield f"{file}: room {room} may not include {header}"
        elif header.endswith(".def") and room not in public[header]:
            yield f"{file}: {header} is a list of room {public[header][0]}"
        return
    target = room_of(header, table)
    if Path("src", header).parent in plugins:
        yield f"{file}: includes the plug-in file {header}; what is shared belongs a folder up"
    elif len(Path(header).parts) < 2 or ".." in Path(header).parts:
        yield f'{file}: "{header}" is not a path from src/, such as "{room}/{Path(header).name}"'
    elif target == room:
        return
    elif target not in table[room][0]:
        yield f"{file}: room {room} may not include {header}"
    elif header.endswith(".def"):
        yield f"{file}: {header} is a list of room {target}; ask that room's registry"


def check_room_file(source, file, table, plugins, public):
    room = file.parent.relative_to("src").as_posix()
    if room not in table:
        yield f"{file}: room {room} is not in docs/ARCHITECTURE.md"
        return
    allowed, libraries = table[room]
    for quoted, header in includes(source / file):
        if quoted:
            yield from check_quoted(file, header, room, table, plugins, public)
            continue
        library = library_of(header)
        # fmt comes with core, JSON with io: both are part of what those rooms offer.
        inherited = {"fmt": "core", "nlohmann-json": "io"}.get(library)
        if library and library not in libraries and inherited not in (room, *allowed):
            yield f"{file}: room {room} may not use {library}"


def isa_pattern(source):
    """File names that cmake/isa.cmake compiles with flags of their own."""
    names = re.findall(r"set\(pare_isa_flags_(\w+)", (source / "cmake/isa.cmake").read_text())
    return re.compile(rf"_({'|'.join(names)})\.cpp$")


def check_isa_includes(source, file, seen):
    """`seen` guards against files that include each other."""
    if file in seen:
        return
    seen.add(file)
    for quoted, header in includes(source / file):
        if not quoted and header not in ISA_HEADERS:
            yield f"{file}: <{header}> reaches code of one instruction set"
        elif quoted and not (header.startswith(("kernels/", "codec/")) and
                             header.endswith((".h", ".inc"))):
            yield f'{file}: "{header}" reaches code of one instruction set'
        elif quoted:
            yield from check_isa_includes(source, Path("src", header), seen)


def sanitized(build):
    cache = build / "CMakeCache.txt"
    return cache.exists() and re.search(r"^PARE_SANITIZE:\w+=.+$", cache.read_text(), re.MULTILINE)


def check_symbols(build, isa):
    """No weak symbol in an object of one instruction set; objects may be absent."""
    objects = [o for o in (build / "CMakeFiles").glob("pare_*.dir/**/*.o")
               if isa.search(o.name.removesuffix(".o"))]
    if not objects:
        print("no objects of instruction-set variants here: symbols not checked")
    if sanitized(build):
        print("sanitizers add weak symbols of their own: symbols not checked")
        return
    for path in objects:
        listing = subprocess.run(["nm", "-C", path], capture_output=True, text=True, check=True)
        for line in listing.stdout.splitlines():
            fields = line[17:].split(maxsplit=1)
            if fields and fields[0] in {"W", "V", "u"}:
                yield f"{path.name}: weak symbol {fields[1]}; make it static or unnamed"


def main():
    args = repo.arguments(__doc__)
    table = read_table(args.source)
    public = read_public(args.source)
    problems = [*check_table(args.source, table), *check_public(args.source, table, public)]
    plugins = set(repo.plugin_folders(args.source))
    isa = isa_pattern(args.source)
    files = [f for f in repo.project_files(args.source)
             if f.parts[0] == "src" and f.suffix in SOURCE_ENDINGS]
    seen = set()
    for file in files:
        problems += check_room_file(args.source, file, table, plugins, public)
        if isa.search(file.name):
            problems += check_isa_includes(args.source, file, seen)
    for file in repo.project_files(args.source):
        if file.parts[:2] == ("apps", "pare") and file.suffix in SOURCE_ENDINGS:
            problems += check_program_file(args.source, file, public)
    if args.build:
        problems += check_symbols(args.build, isa)
    repo.finish(problems, len(files))


if __name__ == "__main__":
    main()
