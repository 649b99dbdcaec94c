"""Texts as people have them: other encodings, archives, tables, JSON under either name, chats, token ids without a tokenizer."""
import gzip
import io
import json
import shutil
import sqlite3
import subprocess
import zipfile

import numpy as np
import pytest

WORDS = "The river rose eleven feet in one night, and the old mill stood alone.\r\nNaïve café: 水が上がる — “done” 𝄞.\n" * 12
LATIN = "The café near the façade was naïve about the señor's résumé, and so it went on for a while.\n" * 30
RUSSIAN = "Река поднялась за ночь на одиннадцать футов, и старая мельница стояла одна.\n" * 30


def parquet():
    return b"PAR1" + bytes(range(256)) * 4 + b"PAR1"


def sqlite(folder):
    file = folder / "base.db"
    with sqlite3.connect(file) as base:
        base.execute("create table t (text)")
    return file.read_bytes()


def zipped(name="xl/workbook.xml"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, WORDS)
    return out.getvalue()


def npy():
    out = io.BytesIO()
    np.save(out, np.arange(9))
    return out.getvalue()


# name: (bytes, what the error calls them)
FOREIGN = {
    "gzip": (gzip.compress(WORDS.encode()), "gzip"), "zip": (zipped(), "zip"), "parquet": (parquet(), "Parquet"), "npy": (npy(), "NumPy"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "PDF"), "zstd": (b"\x28\xb5\x2f\xfd\x04\x00rest", "Zstandard"), "xz": (b"\xfd7zXZ\x00\x00\x04", "xz"),
    "arrow": (b"ARROW1\0\0" + bytes(64), "Arrow"), "png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "PNG"), "rtf": (b"{\\rtf1\\ansi text}", "RTF"),
    "doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90), "Office"),
    "latin": (LATIN.encode("latin-1"), "Latin-1"), "windows": (LATIN.replace("'", "’").encode("cp1252"), "Windows-1252"),
    "russian": (RUSSIAN.encode("cp1251"), "another script"), "gbk": (("河水在夜里上涨，老磨坊独自矗立。\n" * 30).encode("gbk"), "another script"),
    "utf-16-le": (LATIN.encode("utf-16-le"), "UTF-16, little"), "utf-16-be": (LATIN.encode("utf-16-be"), "UTF-16, big"),
    "utf-16-chinese": (("河水在夜里上涨 老磨坊独自矗立\n" * 30).encode("utf-16-le"), "UTF-16, little"), "utf-32-le": (LATIN.encode("utf-32-le"), "UTF-32, little"),
    "random": (np.random.default_rng(1).bytes(5000), "binary"), "nul": (WORDS.encode() + b"\0" + WORDS.encode(), "binary"),
    "damaged": (WORDS.encode() + b"\xff" + WORDS.encode(), "1 damaged"), "half-mark": (b"\xff\xfe" + b"ab\0\xd8", "damaged"),
}


@pytest.fixture
def sources(tmp_path, request):
    def write(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def refused(pare, *words, code="E0209", exit_code=3):
    done = pare(*words, exit_code=exit_code)
    text = done.stderr.decode()
    assert f"error[{code}]" in text and text.count("error[") == 1, text
    return text


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_text_is_refused_by_name(pare, demo_model, sources, tmp_path, kind):
    content, name = FOREIGN[kind]
    for ending in ("txt", "jsonl"):
        file = sources(f"data.{ending}", content)
        said = [refused(pare, "quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", file),
                refused(pare, "eval", demo_model, "--ppl", file, "--context", "64")]
        for text in said:
            assert name in text and str(file) in text, text
    assert name in refused(pare, "compare", demo_model, demo_model, "--ppl", file, "--context", "64")
    assert name in refused(pare, "tokenize", demo_model, file)
    assert name in refused(pare, "tokenize", demo_model, file) and not (tmp_path / "out").exists()
    assert name in pare("tokenize", demo_model, stdin=content, exit_code=3).stderr.decode()
    assert name in pare("generate", demo_model, "--prompt", "-", stdin=content, exit_code=3).stderr.decode()


def test_a_database_is_no_text(pare, demo_model, sources, tmp_path):
    assert "SQLite" in refused(pare, "eval", demo_model, "--ppl", sources("a.txt", sqlite(tmp_path)))


@pytest.mark.parametrize("mark, encoding", [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"),
                                            (b"\xef\xbb\xbf", "utf-8")])
def test_a_mark_says_how_to_read_it(pare, demo_model, sources, tmp_path, mark, encoding):
    plain = sources("plain.txt", WORDS.encode())
    marked = sources("marked.txt", mark + WORDS.encode(encoding))
    ids = [pare("tokenize", demo_model, file).stdout for file in (plain, marked)]
    # To a tokenizer the mark of UTF-8 is a character like others, and `tokenize` shows what it makes of the bytes.
    assert (ids[0] == ids[1]) == (encoding != "utf-8") and len(ids[0]) > 500
    shown = [json.loads(pare("eval", demo_model, "--ppl", file, "--context", "64", "--json").stdout)["ids_sha256"] for file in (plain, marked)]
    assert shown[0] == shown[1]
    reports = []
    for file in (plain, marked):
        out = tmp_path / file.stem
        pare("quantize", demo_model, "-o", out, "--scheme", "w8a8", "--calib", file)
        reports.append(json.loads((out / "report.json").read_text())["calibration"])
    assert reports[0] == reports[1]


def test_a_text_cut_in_a_character_is_still_a_text(pare, demo_model, sources):
    """As `head -c` cuts it."""
    whole = WORDS.encode()
    cut = whole[:whole.rindex("水".encode()) + 2]
    assert pare("tokenize", demo_model, sources("cut.txt", cut)).stdout


# --- JSON under either name ---------------------------------------------------------------------------------------------

RECORDS = [{"text": f"The river rose {n} feet in one night and nobody slept."} for n in range(6)]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)


@pytest.fixture
def calibrated(pare, demo_model, tmp_path, sources):
    """calibrated(name, content, *options) -> what report.json says of the data."""
    def run(name, content, *options):
        pare("quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", sources(name, content.encode()), "--force", *options)
        return json.loads((tmp_path / "out" / "report.json").read_text())["calibration"]

    return run


@pytest.mark.parametrize("name, content", [("a.json", LINES), ("a.jsonl", json.dumps(RECORDS)), ("a.jsonl", json.dumps(RECORDS, indent=2)),
                                           ("a.json", json.dumps(RECORDS)), ("a.json", "\ufeff" + LINES), ("a.ndjson", LINES)])
def test_either_name_for_either_form(pare, calibrated, demo_model, sources, name, content):
    expected = calibrated("lines.jsonl", LINES)
    assert calibrated(name, content)["ids_sha256"] == expected["ids_sha256"] and expected["samples"] == 6
    plain = "\n\n".join(record["text"] for record in RECORDS).encode()
    shown = [json.loads(pare("eval", demo_model, "--ppl", file, "--context", "32", "--json").stdout)["ids_sha256"]
             for file in (sources("plain.txt", plain), sources(name, content.encode()))]
    assert shown[0] == shown[1]


def test_one_record_is_a_file_too(calibrated):
    for content in (json.dumps(RECORDS[0]), json.dumps(RECORDS[0], indent=1)):
        assert calibrated("a.json", content)["samples"] == calibrated("a.jsonl", content)["samples"] == 1


def test_records_in_a_wrapper_are_named(pare, demo_model, sources, tmp_path):
    file = sources("a.json", json.dumps({"version": 1, "data": RECORDS}).encode())
    text = refused(pare, "quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", file)
    assert '"data" holds the records' in text and "jq '.data' FILE" in text


def test_other_lines_than_json_get_a_hint(pare, demo_model, sources, tmp_path):
    file = sources("a.jsonl", "\n".join(json.dumps(record, indent=1) for record in RECORDS).encode())
    text = refused(pare, "quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", file, code="E0314", exit_code=2)
    assert "jq -c . FILE" in text


# --- conversations ------------------------------------------------------------------------------------------------------

MESSAGES = [{"role": "user", "content": "How far did it rise?"}, {"role": "assistant", "content": "Eleven \"feet\"."}]
SHARE = [{"from": "human", "value": "How far?"}, {"from": "gpt", "value": "Eleven feet."}]
CHATS = {"messages": ({"messages": MESSAGES}, "messages"), "sharegpt": ({"id": "1", "conversations": SHARE}, "conversations"), "bare": (MESSAGES, "turns of role"),
         "beside": ({"prompt": "x", "messages": MESSAGES, "score": 1}, "messages"), "parts": ({"messages": [{"role": "user", "content": [{"type": "image"}]}, *MESSAGES]}, "messages")}


@pytest.mark.parametrize("kind", CHATS)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_a_conversation_is_named_with_a_hint_that_works(pare, demo_model, sources, calibrated, tmp_path, kind, ending):
    record, name = CHATS[kind]
    content = json.dumps([record, record]) if ending == "json" else f"{json.dumps(record)}\n{json.dumps(record)}\n"
    file = sources(f"chat.{ending}", content.encode())
    for words in (("quantize", demo_model, "-o", tmp_path / "no", "--scheme", "w8a8", "--calib", file), ("eval", demo_model, "--ppl", file)):
        text = refused(pare, *words)
        assert "a conversation" in text and name in text and "not read yet" in text
        if shutil.which("jq") is None:
            continue
        line = next(line for line in text.splitlines() if "jq" in line)
        command = line[line.index("jq"):].replace("FILE", str(file)).replace("prompts.jsonl", str(tmp_path / "prompts.jsonl"))
        subprocess.run(command, shell=True, check=True)
        texts = [json.loads(line)["text"] for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
        said = "How far?\nEleven feet." if kind == "sharegpt" else 'How far did it rise?\nEleven "feet".'
        assert texts == [said, said]
    assert not (tmp_path / "no").exists()


def test_a_template_may_still_take_a_field_beside_a_conversation(calibrated, pare, demo_model, sources, tmp_path):
    record = {"prompt": "The river rose eleven feet in one night.", "messages": MESSAGES}
    assert calibrated("a.jsonl", json.dumps(record), "--template", "{prompt}")["samples"] == 1
    file = sources("b.jsonl", json.dumps(record).encode())
    assert "a conversation" in refused(pare, "quantize", demo_model, "-o", tmp_path / "no", "--scheme", "w8a8", "--calib", file, "--template", "{messages}")


def test_a_hint_runs_nothing_that_a_file_says(pare, demo_model, sources, tmp_path):
    file = sources("a.jsonl", json.dumps({"x'; touch /tmp/no; '": MESSAGES}).encode())
    assert "jq" not in refused(pare, "eval", demo_model, "--ppl", file)


# --- what is not needed is not opened -------------------------------------------------------------------------------------

FOREIGN_TOKENIZERS = {
    "wordpiece": json.dumps({"version": "1.0", "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1}}}),
    "no-json": "<html>", "empty": "", "lfs": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
}


@pytest.fixture(params=FOREIGN_TOKENIZERS)
def foreign_model(demo_model, tmp_path, request):
    folder = shutil.copytree(demo_model, tmp_path / "model")
    (folder / "tokenizer.json").write_text(FOREIGN_TOKENIZERS[request.param])
    return folder


def test_token_ids_need_no_tokenizer(pare, foreign_model, sources, tmp_path):
    ids = sources("ids.jsonl", ('{"input_ids": [1, 5, 7, 300, 9]}\n' * 4).encode())
    text = pare("quantize", foreign_model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", ids).stdout.decode()
    assert "4 samples, 20 tokens" in text
    pare("quantize", foreign_model, "-o", tmp_path / "gptq", "--scheme", "w4a16", "--group-size", "64", "--format", "gptq,autoawq,npy")
    pare("convert", tmp_path / "gptq" / "gptq", "--to", "compressed-tensors", "-o", tmp_path / "ct")
    pare("eval", foreign_model, "--input-ids", ids, "--logits-to", tmp_path / "logits.npy")
    pare("inspect", foreign_model)
    pare("compress", foreign_model, "-o", tmp_path / "packed")


def test_text_needs_it_and_so_does_gguf(pare, foreign_model, sources, tmp_path):
    words = sources("a.txt", WORDS.encode())
    for command in (("quantize", foreign_model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", words), ("eval", foreign_model, "--ppl", words),
                    ("quantize", foreign_model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "gguf")):
        done = pare(*command, exit_code=None)
        assert done.returncode in (3, 4) and "tokenizer" in done.stderr.decode(), done.stderr.decode()
    assert not (tmp_path / "out").exists()


def test_files_that_text_does_not_need_may_be_damaged(pare, demo_model, sources, tmp_path):
    """The tokenizer's own files say which tokens end a sequence."""
    folder = shutil.copytree(demo_model, tmp_path / "model")
    words = sources("a.txt", WORDS.encode())
    expected = pare("tokenize", folder, words).stdout
    for name in ("generation_config.json", "special_tokens_map.json"):
        (folder / name).write_text("{")
    assert pare("tokenize", folder, words).stdout == expected
    pare("eval", folder, "--ppl", words, "--context", "64")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert "special_tokens_map.json" in refused(pare, "tokenize", folder, words, code="E0203")
    (folder / "special_tokens_map.json").unlink()
    assert "generation_config.json" in refused(pare, "tokenize", folder, words, code="E0203")


def test_ids_of_a_text_are_shown_where_the_tokenizer_can(pare, demo_model, sources, tmp_path):
    ids = sources("ids.jsonl", b'{"input_ids": [1, 5, 7, 300, 9]}\n')
    assert "begins" in pare("quantize", demo_model, "--scheme", "w8a8", "--calib", ids, "--dry-run").stdout.decode()
