"""A head that is tied to the embedding: written once, as in the source, but where engines of a layout look for it by name."""
import json
import shutil

import ml_dtypes  # noqa: F401  (numpy reads bfloat16 with it)
import numpy as np
import pytest
from support import checkpoint, program

MODELS = program.GOLDEN / "models"
TIED = MODELS / "llama-tied"
W4 = ("--scheme", "w4a16", "--group-size", "32")
ONCE = ("autoawq", "gptq", "gptq-v2", "compressed-tensors", "dequantized", "gguf")
COPIED = ("ascend", "ascend-v1")
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def logits(pare, folder, tmp_path):
    out = tmp_path / "logits.npy"
    pare("eval", folder, "--input-ids", TIED / "input_ids.jsonl", "--logits-to", out, "--compute", "f32")
    return np.load(out)


def names_of(pare, folder):
    """Names of the stored tensors, in the words of the model whatever the container."""
    return {tensor["name"] for tensor in json.loads(pare("inspect", folder, "--json").stdout)["tensors"]}


@pytest.fixture(scope="module")
def folders(quantize):
    return quantize(*W4, "--format", ",".join((*ONCE, *COPIED)), model=TIED, calib=None)


@pytest.fixture
def with_copy(tmp_path):
    """with_copy(change) -> the model with a head of its own beside the embedding, as some tools save it."""
    def make(change=lambda head: head):
        folder = tmp_path / "with-copy"
        shutil.copytree(TIED, folder)
        tensors = checkpoint.read_folder(folder)
        tensors[HEAD] = change(tensors[EMBEDDING].copy())
        checkpoint.write_file(folder / "model.safetensors", tensors)
        return folder
    return make


@pytest.mark.parametrize("layout", ONCE)
def test_written_once(pare, folders, layout):
    assert HEAD not in names_of(pare, folders / layout) and EMBEDDING in names_of(pare, folders / layout)
    assert json.loads((folders / layout / "config.json").read_text())["tie_word_embeddings"] is True


@pytest.mark.parametrize("layout", COPIED)
def test_written_twice_where_engines_look_for_it(folders, layout):
    tensors = checkpoint.read_folder(folders / layout)
    assert (tensors[HEAD] == tensors[EMBEDDING]).all()


def test_dequantized_is_as_large_as_the_source(folders):
    source, found = (sum(array.nbytes for array in checkpoint.read_folder(folder).values()) for folder in (TIED, folders / "dequantized"))
    assert found == source


@pytest.mark.parametrize("layout", (*ONCE, *COPIED))
def test_every_layout_opens_computes_and_passes_check(pare, folders, layout, tmp_path):
    expected = logits(pare, folders / "ascend", tmp_path)
    # Scales and embedding are f16 in some layouts.
    assert np.abs(logits(pare, folders / layout, tmp_path) - expected).max() <= 2e-2 * np.abs(expected).max()
    found = json.loads(pare("check", folders / layout, "--json", exit_code=None).stdout)
    assert "lm_head" not in json.dumps([rule["findings"] for target in found["targets"] for rule in target["rules"]])


def test_the_plan_says_so(pare, tmp_path):
    lines = pare("quantize", TIED, "-o", tmp_path / "out", *W4, "--format", "gptq,ascend,ascend-v1", "--dry-run").stdout.decode()
    assert "tied to the embedding" in lines and "ascend and ascend-v1" in lines and "a second time (12.0 KiB)" in lines
    lines = pare("quantize", TIED, "-o", tmp_path / "out", *W4, "--format", "gptq", "--dry-run").stdout.decode()
    assert "tied to the embedding: written once" in lines
    lines = pare("quantize", TIED, "-o", tmp_path / "out", *W4, "--quantize-last-linear", "--dry-run").stdout.decode()
    assert "becomes a tensor of its own" in lines


def test_an_untied_model_says_nothing(pare, demo_model, tmp_path):
    assert "tied" not in pare("quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a16", "--dry-run").stdout.decode()


@pytest.mark.parametrize("layout", ["ascend", "gptq"])
def test_a_quantized_head_is_a_tensor_of_its_own(pare, quantize, layout, tmp_path):
    out = quantize("--scheme", "w8a16", "--quantize-last-linear", "--format", layout, model=TIED, calib=None)
    assert json.loads((out / "config.json").read_text())["tie_word_embeddings"] is False
    tensors = checkpoint.read_folder(out)
    part = tensors[HEAD] if layout == "ascend" else tensors["lm_head.qweight"]
    assert part.dtype == (np.int8 if layout == "ascend" else np.int32) and EMBEDDING in tensors
    assert np.isfinite(logits(pare, out, tmp_path)).all()


def test_convert_drops_the_copy_and_makes_it_again(convert, folders, pare, tmp_path):
    there = convert(folders / "ascend-v1", "gptq")
    assert HEAD not in checkpoint.read_folder(there)
    dropped = json.loads((there / "report.json").read_text())["dropped"]
    assert dropped == [{"name": HEAD, "rule": "copy of the embedding (tied head)"}]
    back = checkpoint.read_folder(convert(there, "ascend-v1"))
    assert (back[HEAD] == back[EMBEDDING]).all()
    for source in ("gptq", "compressed-tensors", "gguf"):
        assert names_of(pare, convert(folders / source, "dequantized")) == names_of(pare, folders / "dequantized")
        assert HEAD in names_of(pare, convert(folders / source, "npy"))


def test_convert_keeps_a_head_that_is_another_one(pare, folders, tmp_path):
    source = tmp_path / "ascend"
    shutil.copytree(folders / "ascend", source)
    (path,) = source.glob("*.safetensors")
    tensors = checkpoint.read_file(path)
    tensors[HEAD] = tensors[HEAD] + np.float32(1)
    path.chmod(0o600)
    checkpoint.write_file(path, tensors)
    pare("convert", source, "--to", "compressed-tensors", "-o", tmp_path / "out")
    assert (checkpoint.read_folder(tmp_path / "out")[HEAD] == tensors[HEAD]).all()


def test_a_packed_folder_opens(pare, folders, tmp_path):
    pare("compress", folders / "gptq", "-o", tmp_path / "packed")
    assert (logits(pare, tmp_path / "packed", tmp_path) == logits(pare, folders / "gptq", tmp_path)).all()


def test_a_copy_in_the_source_counts_once_and_is_dropped(pare, with_copy, tmp_path):
    model = with_copy()
    whole = json.loads(pare("inspect", TIED, "--json").stdout)
    found = json.loads(pare("inspect", model, "--json").stdout)
    assert found["parameters"] == whole["parameters"] and found["schemes"] == whole["schemes"]
    done = pare("quantize", model, "-o", tmp_path / "out", *W4, "--format", "gptq")
    assert b"warning" not in done.stderr and b"dropped    lm_head.weight: copy of the embedding" in done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert HEAD not in checkpoint.read_folder(tmp_path / "out") and report["parameters"] == whole["parameters"]


def test_a_head_that_differs_from_the_embedding_is_warned_of(pare, with_copy, tmp_path):
    model = with_copy(lambda head: head * 2)
    done = pare("quantize", model, "-o", tmp_path / "out", *W4, "--format", "gptq")
    assert b"config.json ties the head to the embedding, but lm_head.weight differs" in done.stderr
    assert (logits(pare, model, tmp_path) == logits(pare, TIED, tmp_path)).all()
