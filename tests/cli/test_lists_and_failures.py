"""Options that take several values, errors as JSON, and how much time is left."""
import json
import re
import subprocess

import pytest
from support import program

W8 = ("--scheme", "w8a16")
KEYS = {"code", "title", "detail", "message", "where", "hint", "exit_code"}


def kept(folder):
    return json.loads((folder / "report.json").read_text())["recipe"]["disable_names"]


@pytest.mark.parametrize("words", [
    ["--disable-names", "*.v_proj", "*.q_proj", "MODEL", "-o", "OUT"],
    ["--disable-names", "*.v_proj", "*.q_proj", "-o", "OUT", "MODEL"],
    ["MODEL", "-o", "OUT", "--disable-names", "*.v_proj", "*.q_proj"],
    ["--disable-names", "*.v_proj,*.q_proj", "MODEL", "-o", "OUT"],
    ["--disable-names=*.v_proj,*.q_proj", "MODEL", "-o", "OUT"],
    ["--disable-names=*.v_proj", "*.q_proj", "MODEL", "-o", "OUT"],
    ["--disable-names", "*.v_proj", "--disable-names", "*.q_proj", "-o", "OUT", "MODEL"],
    ["--disable-names", "*.v_proj", "--disable-names", "*.q_proj", "MODEL", "-o", "OUT"],
    ["-o", "OUT", "--disable-names", "*.v_proj", "*.q_proj", "MODEL"],
    ["-o", "OUT", "MODEL", "--disable-names", "*.v_proj,*.q_proj"],
], ids=" ".join)
def test_a_list_leaves_the_model_alone(pare, demo_model, tmp_path, words):
    pare("quantize", *[{"MODEL": demo_model, "OUT": tmp_path / "out"}.get(word, word) for word in words], *W8)
    assert kept(tmp_path / "out") == ["*.v_proj", "*.q_proj"]


def test_lists_of_other_verbs(pare, quantize, tmp_path):
    source = quantize(*W8, calib=None)
    for verb in ("compress", "export-dat"):
        pare(verb, "--compress-disable-layers", "*.q_proj", "*.down_proj", source, "-o", tmp_path / verb)


def test_a_model_that_is_missing_is_missing(pare, tmp_path):
    text = pare("quantize", "--disable-names", "a", "-o", tmp_path / "out", *W8, exit_code=2).stderr.decode()
    assert "MODEL is required" in text


FAILURES = {
    "inspect": (["inspect", "NOWHERE"], "E0201", 3), "check": (["check", "NOWHERE"], "E0201", 3), "eval": (["eval", "NOWHERE", "--ppl", "x"], "E0201", 3),
    "compare": (["compare", "NOWHERE", "NOWHERE", "--ppl", "x"], "E0201", 3), "generate": (["generate", "NOWHERE", "--prompt", "x"], "E0201", 3),
    "list": (["list", "metods"], "E0104", 2), "usage": (["eval", "m"], "E0101", 2), "unread": (["eval"], "E0101", 2), "option": (["inspect", "m", "--scna"], "E0101", 2),
    "value": (["eval", "m", "--ppl", "t", "--context", "1"], "E0102", 2),
}


@pytest.mark.parametrize("words, code, exit_code", FAILURES.values(), ids=FAILURES)
def test_a_failure_is_one_json_object(pare, tmp_path, words, code, exit_code):
    done = pare(*[tmp_path / "nowhere" if word == "NOWHERE" else word for word in words], "--json", exit_code=exit_code)
    found = json.loads(done.stdout)
    assert list(found) == ["schema", "error"] and set(found["error"]) == KEYS
    error = found["error"]
    assert (error["code"], error["exit_code"]) == (code, exit_code) and error["message"] == f"{error['title']}: {error['detail']}"
    assert f"error[{code}] {error['message']}" in done.stderr.decode() and isinstance(error["where"], list)


@pytest.mark.parametrize("words, code, exit_code", [
    (["quantize", "NOWHERE", "-o", "OUT", *W8], "E0201", 3), (["quantize", "NOWHERE", *W8], "E0101", 2), (["quantize", "--bogus"], "E0101", 2),
    (["convert", "NOWHERE", "--to", "gptq", "-o", "OUT"], "E0201", 3), (["compress", "NOWHERE", "-o", "OUT"], "E0201", 3), (["compress"], "E0101", 2),
    (["decompress", "NOWHERE", "-o", "OUT"], "E0201", 3), (["export-dat", "NOWHERE", "-o", "OUT"], "E0201", 3)], ids=lambda value: str(value))
def test_a_failure_is_the_last_event(pare, tmp_path, words, code, exit_code):
    done = pare(*[tmp_path / word.lower() if word in ("NOWHERE", "OUT") else word for word in words], "--json", exit_code=exit_code)
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["event"] == "error" and KEYS < set(event) and (event["code"], event["exit_code"]) == (code, exit_code)


def test_verbs_without_json_print_none(pare):
    for words in (["tokenize", "m", "--json"], ["nonsense", "--json"], ["--json"]):
        assert pare(*words, exit_code=2).stdout == b""


def test_a_log_says_how_much_time_is_left(demo_model, demo_calib, tmp_path):
    """Stages that take turns, block by block, are one piece of work; in a pipe as on a terminal."""
    calib = tmp_path / "long.jsonl"
    calib.write_text(demo_calib.read_text(encoding="utf-8") * 24, encoding="utf-8")
    done = subprocess.run([program.binary(), "quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", calib, "--threads", "1", "--compute", "f32"],
                          capture_output=True)
    lines = [line for line in done.stderr.decode().splitlines() if re.match(r"(calibrating|quantizing|verifying|copying) ", line)]
    left = [line for line in lines if re.search(r"  \d+:\d\d left", line)]
    took = float(re.search(r"took +([\d.]+) s", done.stdout.decode())[1])
    if took < 12:
        pytest.skip(f"too fast here: {took} s")
    assert left and all(re.match("calibrating|quantizing", line) for line in left), lines
