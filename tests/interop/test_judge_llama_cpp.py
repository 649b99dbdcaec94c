"""GGUF folders in the real engine: llama.cpp loads what Pare wrote, with no hand edit, and computes the same.

llama.cpp rounds the activations of every quantized product to 8 bits in blocks of 32; Pare computes with float ones. That is
what the logits may differ by. Rows of q and k in a wrong order load just as well, and give other numbers altogether.
"""
import json
import os
import pathlib
import subprocess

import numpy as np
import pytest
from support import program

JUDGE = pathlib.Path(__file__).resolve().parents[1] / "support" / "llama_cpp_judge.py"
MODELS = program.GOLDEN / "models"
# Half a step of 1/127 of the largest of 32 activations, through two to six blocks: a few hundredths of the largest logit.
# Wrong rows in q and k move logits by about as much as they are large.
ROUNDING = 0.06
W4 = ("--scheme", "w4a16", "--group-size")
DEMO = {"w4a16 g32": (*W4, "32"), "w4a16 g64": (*W4, "64"), "w4a16 g128": (*W4, "128"), "w4a16 rows": ("--scheme", "w4a16"),
        "w8a16 rows": ("--scheme", "w8a16"), "w8a16 g64": ("--scheme", "w8a16", "--group-size", "64"),
        "w8a8-dynamic": ("--scheme", "w8a8-dynamic")}
ARCHITECTURES = ["llama-mha", "llama-gqa", "llama-mqa-bias", "llama-tied", "llama-bf16", "llama-f16", "llama-rope-llama3",
                 "llama-rope-linear", "mistral-head-dim", "qwen2-tied", "qwen3"]
NOT_OF_32_COLUMNS = {"mistral-head-dim": ("--disable-names", "*o_proj")}
pytestmark = pytest.mark.llama_cpp


@pytest.fixture(scope="module")
def judge():
    def ask(*arguments):
        done = subprocess.run([os.environ["PARE_LLAMA_CPP_PYTHON"], JUDGE, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return ask


@pytest.fixture(scope="module")
def demo_ids(pare, demo_model, demo_text, tmp_path_factory):
    ids = [int(word) for word in pare("tokenize", demo_model, demo_text).stdout.split()]
    file = tmp_path_factory.mktemp("ids") / "ids.jsonl"
    file.write_text("".join(json.dumps({"input_ids": ids[at:at + 256]}) + "\n" for at in range(0, 1024, 256)))
    return file


def file_of(folder):
    (path,) = folder.glob("*.gguf")
    return path


def compare(pare, judge, folder, ids, scratch):
    """max |difference|, max |logit|, and the perplexity that each side gives the ids."""
    judge("logits", file_of(folder), ids, scratch / "theirs.npy")
    pare("eval", folder, "--input-ids", ids, "--logits-to", scratch / "ours.npy", "--compute", "f32")
    ours, theirs = np.load(scratch / "ours.npy"), np.load(scratch / "theirs.npy")
    assert ours.shape == theirs.shape
    sequences = [json.loads(line)["input_ids"] for line in ids.read_text().splitlines()]
    return float(np.abs(ours - theirs).max()), float(np.abs(ours).max()), perplexity(ours, sequences), perplexity(theirs, sequences)


def perplexity(logits, sequences):
    losses, row = [], 0
    for ids in sequences:
        part = logits[row:row + len(ids) - 1].astype(np.float64)
        part -= part.max(axis=1, keepdims=True)
        losses.extend(np.log(np.exp(part).sum(axis=1)) - part[np.arange(len(ids) - 1), ids[1:]])
        row += len(ids)
    return float(np.exp(np.mean(losses)))


@pytest.mark.parametrize("name", DEMO)
def test_the_demo_model(pare, judge, quantize, demo_ids, tmp_path, measured, name):
    folder = quantize(*DEMO[name], "--format", "gguf", calib=None)
    difference, largest, ours, theirs = compare(pare, judge, folder, demo_ids, tmp_path)
    measured(f"gguf {name} x llama.cpp: max |difference| {difference:.3f} of max |logit| {largest:.1f}; perplexity {ours:.3f}, llama.cpp {theirs:.3f}")
    assert difference < ROUNDING * largest and abs(theirs / ours - 1) < 0.005


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture(pare, judge, quantize, tmp_path, measured, name):
    """Random models, in F32 but for Q8_0 linears: rotary pairs, biases, norms of heads, tied heads, scaled frequencies."""
    options = ("--scheme", "w8a16", *NOT_OF_32_COLUMNS.get(name, ()))
    folder = quantize(*options, "--format", "gguf", model=MODELS / name, calib=None)
    difference, largest, _, _ = compare(pare, judge, folder, MODELS / name / "input_ids.jsonl", tmp_path)
    measured(f"gguf w8a16 of {name} x llama.cpp: max |difference| {difference:.4f} of max |logit| {largest:.2f}")
    assert difference < ROUNDING * largest


def test_text_becomes_the_same_tokens(pare, judge, quantize, demo_model, demo_text):
    folder = quantize(*W4, "64", "--format", "gguf", calib=None)
    ours = [int(word) for word in pare("tokenize", demo_model, demo_text).stdout.split()]
    assert json.loads(judge("tokens", file_of(folder), demo_text)) == ours


def test_it_writes_on(pare, judge, quantize):
    folder = quantize(*W4, "64", "--format", "gguf", calib=None)
    assert len(judge("write", file_of(folder), "It was late in the evening when", 20).split()) > 5
