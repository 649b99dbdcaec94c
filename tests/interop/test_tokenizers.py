"""Token ids of `pare tokenize` against `tokenizers` and `sentencepiece`: hostile small goldens, and all of the shared text."""
import json
import shutil

import pytest

from support import program, texts
from support.tokenizer_judges import LibraryJudge, SentencePieceJudge, qwen2_judge

GOLDENS = sorted((program.GOLDEN / "tokenizers").glob("*/golden.jsonl"))


def ids_of(output):
    """One list of ids per printed line."""
    printed = output.decode("ascii")
    lines = printed.split("\n")
    assert lines.pop() == "", "the last line is not ended"
    return [[int(word) for word in line.split()] for line in lines]


def first_difference(got, expected):
    at = next((k for k, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
    return f"ids differ at {at} of {len(expected)}: got {got[at:at + 8]}, expected {expected[at:at + 8]}"


def assert_same(where, text, got, expected):
    assert got == expected, f"{where}: {first_difference(got, expected)} in {text[:200]!r}"


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.parent.name)
def test_golden_tokenizer(pare, golden, tmp_path):
    cases = [json.loads(line) for line in golden.read_text(encoding="utf-8").splitlines()]
    assert len(cases) > 40
    wrong = []
    for number, case in enumerate(cases):
        file = tmp_path / f"{number}.txt"
        file.write_bytes(case["text"].encode("utf-8"))
        (got,) = ids_of(pare("tokenize", golden.parent, file).stdout)
        if got != case["ids"]:
            wrong.append(f"{case['text'][:80]!r}: {first_difference(got, case['ids'])}")
    assert not wrong, f"{len(wrong)} of {len(cases)} texts differ:\n" + "\n".join(wrong)


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.parent.name)
def test_stdin_and_lines_give_the_same_ids(pare, golden, tmp_path):
    cases = [json.loads(line) for line in golden.read_text(encoding="utf-8").splitlines()]
    cases = [case for case in cases if not set("\r\n") & set(case["text"])]
    file = tmp_path / "lines.txt"
    file.write_bytes("".join(case["text"] + "\n" for case in cases).encode("utf-8"))
    got = ids_of(pare("tokenize", golden.parent, file, "--lines").stdout)
    assert len(got) == len(cases)
    for case, line in zip(cases, got):
        assert_same("--lines", case["text"], line, case["ids"])
    longest = max(cases, key=lambda case: len(case["text"]))
    (got,) = ids_of(pare("tokenize", golden.parent, stdin=longest["text"].encode("utf-8")).stdout)
    assert_same("stdin", longest["text"], got, longest["ids"])


def only(folder, names, out):
    """A folder with just these files, so that no other tokenizer file can be read instead."""
    out.mkdir()
    for name in names:
        shutil.copyfile(folder / name, out / name)
    return out


def demo_library(request, out):
    folder = only(request.getfixturevalue("demo_model"), ["tokenizer.json", "tokenizer_config.json"], out)
    return folder, LibraryJudge.from_file(folder / "tokenizer.json")


def demo_sentencepiece(request, out):
    folder = only(request.getfixturevalue("demo_model"), ["tokenizer.model", "tokenizer_config.json"], out)
    return folder, SentencePieceJudge(folder / "tokenizer.model")


def demo_folder(request, out):
    folder = request.getfixturevalue("demo_model")
    return folder, LibraryJudge.from_file(folder / "tokenizer.json")


def llama2_library(request, out):
    folder = only(request.getfixturevalue("shared_data") / "tokenizers/llama2", ["tokenizer.json", "tokenizer_config.json"], out)
    return folder, LibraryJudge.from_file(folder / "tokenizer.json")


def llama2_sentencepiece(request, out):
    folder = only(request.getfixturevalue("shared_data") / "tokenizers/llama2", ["tokenizer.model", "tokenizer_config.json"], out)
    return folder, SentencePieceJudge(folder / "tokenizer.model")


def gpt_neox(request, out):
    folder = request.getfixturevalue("shared_data") / "tokenizers/gpt_neox"
    return folder, LibraryJudge.from_file(folder / "tokenizer.json")


def qwen2_vocab_and_merges(request, out):
    folder = request.getfixturevalue("shared_data") / "tokenizers/qwen2"
    assert b"\r\n" in (folder / "merges.txt").read_bytes()[:1000]
    return folder, qwen2_judge(folder)


def tiny_random_llama(request, out):
    folder = request.getfixturevalue("shared_data") / "fixtures/tiny-random-llama"
    return folder, LibraryJudge.from_file(folder / "tokenizer.json")


REAL = [demo_folder, demo_library, demo_sentencepiece, llama2_library, llama2_sentencepiece, gpt_neox, qwen2_vocab_and_merges,
        tiny_random_llama]


@pytest.fixture(scope="module", params=REAL, ids=lambda make: make.__name__)
def real(request, tmp_path_factory):
    return request.param(request, tmp_path_factory.mktemp("tokenizer") / "model")


def test_every_line_of_the_shared_text(pare, real, shared_data, tmp_path, measured, request):
    folder, judge = real
    lines = texts.all_lines(shared_data)
    file = tmp_path / "all.txt"
    file.write_bytes("".join(text + "\n" for _, text in lines).encode("utf-8"))
    got = ids_of(pare("tokenize", folder, file, "--lines").stdout)
    assert len(got) == len(lines)
    expected = judge.encode_all([text for _, text in lines])
    for (where, text), a, b in zip(lines, got, expected):
        assert_same(where, text, a, b)
    measured(f"tokens equal: {request.node.callspec.id} by {type(judge).__name__}: "
             f"{len(lines)} lines, {sum(map(len, expected))} ids")


def test_whole_files_as_one_text(request, pare, real, shared_data):
    folder, judge = real
    paths = sorted(texts.text_files(shared_data), key=lambda path: path.stat().st_size)
    if request.node.callspec.id not in ("llama2_library", "gpt_neox"):
        paths = paths[:2]  # what these files hold, every tokenizer has seen line by line
    for path in paths:
        (got,) = ids_of(pare("tokenize", folder, path).stdout)
        text = path.read_bytes().decode("utf-8")
        assert_same(path.name, "(the whole file)", got, judge.encode(text))


def test_pieces_go_with_the_ids(pare, demo_model, demo_text):
    judge = SentencePieceJudge(demo_model / "tokenizer.model")
    printed = pare("tokenize", demo_model, demo_text, "--pieces").stdout.decode("utf-8")
    pairs = [line.split("\t", 1) for line in printed.split("\n") if line]
    expected = judge.encode(demo_text.read_bytes().decode("utf-8"))
    assert [int(index) for index, _ in pairs] == expected
    # A line end would break the table, so only the pieces without one are compared.
    assert all(piece == judge.piece(int(index)) for index, piece in pairs)
