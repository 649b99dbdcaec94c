"""Sees every lint test fail: breaks a copy of the project in one place and expects the complaint.

    break_test.py SOURCE_DIR
"""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(1)).resolve()
COPIED = ["include", "src", "apps", "cmake", "docs", "scripts", "tests/lint", "tests/install",
          "CMakeLists.txt", "LICENSE", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"]


class Broken(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="pare-lint-"))
        self.addCleanup(shutil.rmtree, self.root)
        for name in COPIED:
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (SOURCE / name).is_dir():
                shutil.copytree(SOURCE / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(SOURCE / name, target)

    def replace(self, file, old, new):
        path = self.root / file
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))

    def append(self, file, text):
        with open(self.root / file, "a") as stream:
            stream.write(text)

    def expect(self, check, complaint, *build, code=1):
        script = self.root / f"tests/lint/check_{check}.py"
        run = subprocess.run([sys.executable, "-B", script, self.root, *build],
                             capture_output=True, text=True, check=False)
        self.assertIn(complaint, run.stdout + run.stderr)
        self.assertEqual(run.returncode, code)


class Layers(Broken):
    def test_include_upwards(self):
        self.append("src/core/rng.h", '#include "kernels/gemm.h"\n')
        self.expect("layers", "src/core/rng.h: room core may not include kernels/gemm.h")

    def test_foreign_library(self):
        self.append("src/core/rng.h", "#include <nlohmann/json.hpp>\n")
        self.expect("layers", "room core may not use nlohmann-json")

    def test_path_not_from_src(self):
        self.append("src/core/rng.h", '#include "dtype.h"\n')
        self.expect("layers", '"dtype.h" is not a path from src/')

    def test_plugin_includes_plugin(self):
        (self.root / "src/model/archs/shared.h").write_text("// shared\n")
        self.append("src/model/archs/llama.cpp", '#include "model/archs/shared.h"\n')
        self.expect("layers", "includes the plug-in file model/archs/shared.h")

    def test_program_includes_room(self):
        self.append("apps/pare/options/conversion.h", '#include "pipeline/convert/convert.h"\n')
        self.expect("layers", "apps/pare/options/conversion.h: pipeline/convert/convert.h is not")

    def test_public_header_includes_room(self):
        self.append("include/pare/check.h", '#include "check/folder.h"\n')
        self.expect("layers", "include/pare/check.h: check/folder.h is neither C++'s own nor public")

    def test_public_header_includes_library(self):
        self.append("include/pare/check.h", "#include <fmt/format.h>\n")
        self.expect("layers", "include/pare/check.h: fmt/format.h is neither C++'s own nor public")

    def test_public_header_not_in_table(self):
        (self.root / "include/pare/more.h").write_text("// more\n")
        self.expect("layers", "include/pare/more.h stands only on one side of its table")
        self.expect("layers", "include/pare: 11 headers, the limit is 10")

    def test_public_header_of_a_higher_room(self):
        self.append("src/core/rng.h", '#include "pare/check.h"\n')
        self.expect("layers", "src/core/rng.h: room core may not include pare/check.h")

    def test_foreign_list(self):
        self.append("src/pipeline/quantize/plan.h", '#include "quant/methods.def"\n')
        self.expect("layers", "quant/methods.def is a list of room quant")

    def test_table_and_cmake_differ(self):
        self.replace("CMakeLists.txt", "pare_room(io ROOMS core", "pare_room(io ROOMS core kernels")
        self.expect("layers", "io: the rooms of docs/ARCHITECTURE.md and CMakeLists.txt differ")

    def test_libraries_differ(self):
        self.replace("CMakeLists.txt", " PkgConfig::xxhash)", ")")
        self.expect("layers", "io: the libraries of docs/ARCHITECTURE.md and CMakeLists.txt differ")

    def test_cycle(self):
        self.replace("docs/ARCHITECTURE.md", "| core | none |", "| core | io |")
        self.expect("layers", "core may include io, which stands no higher")

    def test_table_gone(self):
        self.replace("docs/ARCHITECTURE.md", "| room | may", "| place | may")
        self.expect("layers", "room core is missing in docs/ARCHITECTURE.md")

    def test_standard_library_in_isa_file(self):
        self.append("src/kernels/variants/row_kernels.inc", "#include <vector>\n")
        self.expect("layers", "src/kernels/variants/row_kernels.inc: <vector> reaches code of one instruction")

    def test_weak_symbol_in_isa_object(self):
        objects = self.root / "build/CMakeFiles/pare_kernels.dir"
        objects.mkdir(parents=True)
        code = b"template <class T> T twice(T x) { return x + x; } template int twice(int);"
        compiled = objects / "rows_avx2.cpp.o"
        subprocess.run(["c++", "-x", "c++", "-c", "-o", compiled, "-"], input=code, check=True)
        self.expect("layers", "rows_avx2.cpp.o: weak symbol int twice<int>(int)",
                    self.root / "build")


class Sizes(Broken):
    def test_long_file(self):
        self.append("src/core/error.cpp", "// more\n" * 800)
        self.expect("sizes", "src/core/error.cpp: ")

    def test_long_function(self):
        self.append("src/core/error.cpp", "void far_too_long() {\n" + "  step();\n" * 80 + "}\n")
        self.expect("sizes", "void far_too_long(): 82 lines, the limit is 80")

    def test_deep_nesting(self):
        blocks = "if (a) { for (;;) { while (b) { do { if (c) { d(); } } while (e); } } }"
        self.append("src/core/error.cpp", f"void too_deep() {{ {blocks} }}\n")
        self.expect("sizes", "void too_deep(): 5 nested blocks, the limit is 4")

    def test_many_parameters(self):
        self.append("src/core/error.cpp", "void wide(int a, pair<int, int> b, int c = f(1, 2), "
                    "int d = {}, std::function<int(int, int)> e, int f, int g) {}\n")
        self.expect("sizes", "7 parameters, the limit is 6")

    def test_full_folder(self):
        for number in range(26):
            (self.root / f"src/core/more_{number}.h").write_text("// more\n")
        self.expect("sizes", "code files, the limit is 25")

    def test_exception_not_needed(self):
        self.expect_unneeded("src/core/error.cpp", "lines")

    def test_folder_exception_not_needed(self):
        self.expect_unneeded("src/core", "code files")

    def expect_unneeded(self, name, what):
        self.replace("tests/lint/check_sizes.py", "EXCEPTIONS = {\n",
                     f'EXCEPTIONS = {{\n    ("{name}", "{what}"): "none",\n')
        self.expect("sizes", f"{name} needs no exception for its {what} any more")


class Texts(Broken):
    def test_note_to_oneself(self):
        self.append("src/core/rng.h", "// TO" "DO: later\n")
        self.expect("texts", "is a note to oneself")

    def test_unfinished(self):
        self.append("README.md", "This is a st" "ub.\n")
        self.expect("texts", "is unfinished work")

    def test_path_of_one_machine(self):
        self.append("README.md", "See /ho" "me/me/pare.\n")
        self.expect("texts", "is a path of one machine")

    def test_dead_link(self):
        self.append("README.md", "[more](docs/MORE.md)\n")
        self.expect("texts", "README.md: the link to docs/MORE.md leads nowhere")

    def test_dead_anchor(self):
        self.append("README.md", "[more](docs/ARCHITECTURE.md#cellar)\n")
        self.expect("texts", "docs/ARCHITECTURE.md#cellar has no such heading")

    def test_wide_line(self):
        self.append("README.md", "word " * 24 + "w\n")
        self.expect("texts", ": 121 columns, the limit is 120")

    def test_wide_tables_code_and_addresses_are_free(self):
        wide = "word " * 30
        self.append("README.md", f"| {wide} |\n```\n{wide}\n```\n- https://a.b/{'c' * 120}\n")
        self.expect("texts", ", 0 problems", code=0)

    def test_wide_page_that_is_narrow(self):
        self.replace("tests/lint/check_texts.py", "WIDE_PAGES = set()", 'WIDE_PAGES = {"README.md"}')
        self.expect("texts", "README.md needs no exception for its width any more")

    def test_no_first_line(self):
        self.replace("src/model/archs/llama.cpp", "// ", "")
        self.expect("texts", "src/model/archs/llama.cpp: the first line is no comment")

    def test_number_twice(self):
        self.append("include/pare/errors.def", 'PARE_ERROR(second, 101, usage, "another")\n')
        self.expect("texts", 'the number "101" stands 2 times')

    def test_code_never_used(self):
        self.append("include/pare/errors.def", 'PARE_ERROR(nobody, 998, usage, "unused")\n')
        self.expect("texts", "nobody is never used")


class Ids(Broken):
    def expect_found(self, code, name, file="src/core/error.cpp"):
        self.append(file, code + "\n")
        self.expect("ids", f'{file}:{self.lines_of(file)}: the id "{name}" decides')

    def lines_of(self, file):
        return (self.root / file).read_text().count("\n")

    def test_comparison(self):
        self.expect_found('bool a = layout->id != "gptq-v2";', "gptq-v2")

    def test_comparison_turned_round(self):
        self.expect_found('bool a = "minmax" == intent(b).methods[0]->id;', "minmax")

    def test_comparison_by_function(self):
        self.expect_found('bool a = std::string(reader.id()) == "safetensors";', "safetensors")

    def test_comparison_with_constant(self):
        self.append("src/core/rng.h", 'inline constexpr std::string_view kQwen = "qwen3";\n')
        self.expect_found("bool a = arch.id == kQwen;", "qwen3", "apps/pare/verb_list.cpp")

    def test_lookup(self):
        self.expect_found('auto& a = find_layout(awq() ? "other" : "gguf");', "gguf")

    def test_row_of_a_table(self):
        self.expect_found('bool a = named.id == "w8a8s";', "w8a8s")

    def test_exception_not_needed(self):
        self.replace("tests/lint/check_ids.py", "EXCEPTIONS = {}",
                     'EXCEPTIONS = {("src/core/error.cpp", "minmax"): "none"}')
        self.expect("ids", 'src/core/error.cpp needs no exception for "minmax" any more')

    def test_ids_not_recognised(self):
        self.replace("src/quant/method.h", "std::string_view id;", "std::string_view name;")
        self.expect("ids", "src/quant/methods: no entry with an id was found")

    def test_words_of_files_and_the_defining_file_are_free(self):
        self.append("src/core/error.cpp", 'bool a = quant_method == "gptq";  // id == "gptq"\n')
        self.append("src/quant/methods/minmax.cpp", 'bool a = method.id == "minmax";\n')
        self.expect("ids", ", 0 problems", code=0)


class Commits(Broken):
    def git(self, *words):
        run = subprocess.run(
            ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false",
             "-C", self.root, *words], capture_output=True, text=True, check=True)
        return run.stdout.strip()

    def setUp(self):
        super().setUp()
        if not shutil.which("git"):
            self.skipTest("git is not installed")
        self.git("init", "--quiet")
        self.commit("wip of long ago, which the check does not see.")
        script = self.root / "tests/lint/check_commits.py"
        base = self.git("rev-parse", "HEAD")
        script.write_text(re.sub('BASE = "[0-9a-f]{40}"', f'BASE = "{base}"', script.read_text()))

    def commit(self, subject):
        self.git("commit", "--quiet", "--no-verify", "--allow-empty", "-m", subject)

    def test_long_subject(self):
        self.commit("A" * 73)
        self.expect("commits", "73 characters, the limit is 72")

    def test_small_letter(self):
        self.commit("add what was missing")
        self.expect("commits", "add what was missing: does not begin with a capital letter")

    def test_full_stop(self):
        self.commit("Add what was missing.")
        self.expect("commits", "ends with a full stop")

    def test_unfinished(self):
        for subject in ("WIP", "fixup! Add it", "Reader of GGUF, not yet tested"):
            self.commit(subject)
        self.expect("commits", ", 4 problems")

    def test_an_older_commit_of_a_merged_branch(self):
        self.git("checkout", "--quiet", "-b", "side")
        self.commit("bad one")
        self.git("checkout", "--quiet", "-")
        self.commit("A good one")
        self.git("merge", "--quiet", "--no-ff", "-m", "merge: says what git says.", "side")
        self.expect("commits", "bad one: does not begin")
        self.expect("commits", ", 1 problems")

    def test_good_subjects_pass(self):
        self.commit("B" * 72)
        self.expect("commits", "2 checked, 0 problems", code=0)

    def test_without_history_it_skips(self):
        self.replace("tests/lint/check_commits.py", 'BASE = "', 'BASE = "0')
        self.expect("commits", "skipped: the history does not reach back", code=77)
        shutil.rmtree(self.root / ".git")
        self.expect("commits", "skipped: the source folder is no git repository", code=77)


if __name__ == "__main__":
    unittest.main()
