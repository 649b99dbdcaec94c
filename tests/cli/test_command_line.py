"""The command line itself: help, version, wrong words, exit codes, and where text goes."""
import json
import os
import signal
import subprocess
import time

import pytest
from support import program

VERBS = ["inspect", "quantize", "check", "eval", "compare", "generate", "tokenize", "list"]
LISTS = ["schemes", "methods", "archs", "exporters", "readers", "tokenizers", "protocols", "targets", "rules"]


def fails(pare, exit_code, *arguments, stdin=None):
    """The error text of a command that must fail, with nothing on stdout."""
    done = pare(*arguments, exit_code=exit_code, stdin=stdin)
    text = done.stderr.decode()
    assert done.stdout == b""
    assert text.startswith("error[E0"), text
    return text


def test_alone_it_explains_itself(pare):
    text = pare().stdout.decode()
    assert text == pare("--help").stdout.decode() == pare("-h").stdout.decode()
    for verb in VERBS:
        assert f"\n  {verb} " in text
    assert "130" in text and "Exit codes" in text


def test_version_names_the_instruction_set(pare):
    text = pare("--version").stdout.decode()
    assert text.startswith("pare ") and "scalar" in text and "in use" in text


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(pare, verb):
    text = pare(verb, "--help").stdout.decode()
    assert f"Usage: pare {verb}" in text and "Examples:" in text and f"\n  pare {verb}" in text
    assert "--threads N" in text and "--quiet" in text
    assert max(map(len, text.splitlines())) <= 110
    assert text == pare(verb, "-h").stdout.decode()


def test_help_gives_choices_and_defaults(pare):
    text = pare("eval", "--help").stdout.decode()
    assert "gptq|llamacpp" in text and "[gptq]" in text and "--context N" in text


@pytest.mark.parametrize("arguments, code, hint", [
    (["quantise"], "E0101", "pare quantize"),
    (["evla", "x"], "E0101", "pare eval"),
    (["xyzzy"], "E0101", "pare --help"),
    (["--threads", "2", "list"], "E0101", "command comes first"),
    (["eval", "m", "--ppl", "t", "--contxt", "3"], "E0101", "did you mean --context?"),
    (["eval", "m", "--ppl", "t", "--contxt=3"], "E0101", "did you mean --context?"),
    (["eval", "m", "--ppl", "t", "-x"], "E0101", "pare eval"),
    (["eval", "m", "surplus", "--ppl", "t"], "E0101", "surplus"),
    (["eval"], "E0101", "MODEL"),
    (["compare", "only-one", "--ppl", "t"], "E0101", "B is required"),
    (["eval", "m", "--ppl", "t", "--context"], "E0101", "--context"),
    (["eval", "m", "--ppl", "t", "--context", "many"], "E0102", "whole number"),
    (["eval", "m", "--ppl", "t", "--context", "1"], "E0102", "2.."),
    (["eval", "m", "--ppl", "t", "--context", "9", "--context", "8"], "E0101", "--context"),
    (["eval", "m", "--ppl", "t", "--protocol", "gtpq"], "E0102", 'did you mean "gptq"?'),
    (["eval", "m", "--ppl", "t", "--compute", "fp32"], "E0102", "auto|f32|bf16"),
    (["eval", "m", "--ppl", "t", "--threads", "0"], "E0102", "1.."),
    (["eval", "m"], "E0101", "--ppl FILE"),
    (["eval", "m", "--input-ids", "i"], "E0101", "--logits-to"),
    (["eval", "m", "--logits-to", "o"], "E0101", "--input-ids"),
    (["eval", "m", "--ppl", "t", "--input-ids", "i", "--logits-to", "o"], "E0101", "either"),
    (["compare", "a", "b"], "E0101", "--ppl FILE"),
    (["generate", "m"], "E0101", "--prompt"),
    (["generate", "m", "--prompt", "x", "--temperature", "-1"], "E0102", "0..100"),
    (["generate", "m", "--prompt", "x", "--top-p", "1.5"], "E0102", "0..1"),
    (["generate", "m", "--prompt", "x", "--max-new-tokens", "0"], "E0102", "1.."),
    (["tokenize", "m", "--json"], "E0101", "--json"),
    (["list", "metods"], "E0104", "did you mean methods?"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_usage_errors(pare, arguments, code, hint):
    text = fails(pare, 2, *arguments)
    assert f"error[{code}]" in text and hint in text, text


@pytest.mark.parametrize("arguments", [
    ["eval", "MODEL", "--ppl", __file__], ["compare", "MODEL", "MODEL", "--ppl", __file__],
    ["generate", "MODEL", "--prompt", "x"]], ids=lambda words: words[0])
def test_a_missing_folder_is_named(pare, tmp_path, arguments):
    folder = tmp_path / "nowhere"
    text = fails(pare, 3, *[folder if word == "MODEL" else word for word in arguments])
    assert "error[E0201]" in text and str(folder) in text


def test_a_file_is_no_model(pare, demo_text):
    assert "not a folder" in fails(pare, 3, "eval", demo_text, "--ppl", demo_text)


@pytest.mark.parametrize("word", ["", *LISTS])
def test_lists(pare, word):
    words = [word] if word else []
    text = pare("list", *words).stdout.decode()
    found = json.loads(pare("list", *words, "--json").stdout)
    assert found.pop("schema") == 1
    assert list(found) == (words or LISTS)
    for kind, entries in found.items():
        assert entries, kind
        for entry in entries:
            assert entry["id"] in text and entry["summary"] in text


def test_lists_hold_what_this_version_promises(pare):
    found = json.loads(pare("list", "--json").stdout)
    ids = {kind: {entry["id"] for entry in entries} for kind, entries in found.items() if kind != "schema"}
    assert ids["schemes"] == {"w8a8", "w8a8-dynamic", "w8a8s", "w8a16", "w4a16", "w4a8-dynamic"}
    assert ids["archs"] == {"llama", "mistral", "qwen2", "qwen3"}
    assert ids["protocols"] == {"gptq", "llamacpp"}
    assert "minmax" in ids["methods"] and {"ascend", "npy"} <= ids["exporters"] and "safetensors" in ids["readers"]


def test_quiet_and_pipes(pare, demo_model, demo_text):
    options = ("eval", demo_model, "--ppl", demo_text, "--context", "128", "--windows", "2")
    loud, quiet = pare(*options), pare(*options, "--quiet")
    assert quiet.stdout == loud.stdout and b"perplexity" in quiet.stdout
    assert quiet.stderr == b"" and b"evaluating" in loud.stderr
    assert b"\r" not in loud.stderr and b"\033" not in loud.stderr


def test_a_full_disk_behind_stdout_is_an_error(demo_model):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        done = subprocess.run([program.binary(), "list"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3 and b"error[E0202]" in done.stderr


def test_ctrl_c_exits_with_130(demo_model, tmp_path):
    text = tmp_path / "long.txt"
    text.write_text("It was late in the evening when the river rose. " * 40000)
    running = subprocess.Popen([program.binary(), "eval", demo_model, "--ppl", text, "--context", "256"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stderr.readline().startswith(b"evaluating")
    running.send_signal(signal.SIGINT)
    started = time.monotonic()
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130 and b"error[E0901]" in err and out == b""
    assert time.monotonic() - started < 60


def test_results_on_a_terminal_are_coloured_only_when_wanted(demo_model):
    pty = pytest.importorskip("pty")

    def stderr_of(environment):
        main, child = pty.openpty()
        done = subprocess.run([program.binary(), "eval", "nowhere", "--ppl", "x"], stdout=subprocess.DEVNULL,
                              stderr=child, env={**os.environ, "TERM": "xterm", **environment})
        os.close(child)
        assert done.returncode == 3
        return os.read(main, 4096)

    assert b"\033[1;31merror[E0201]\033[0m" in stderr_of({"NO_COLOR": ""})
    assert b"\033" not in stderr_of({"NO_COLOR": "1"})
