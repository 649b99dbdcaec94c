"""A real model through everything: every scheme in every layout that has a place for it, its memory as planned, and what comes of it.

It is SmolLM2-135M-Instruct or one like it: blocks by the dozen, a large vocabulary, a tied head. Skips where none can be had."""
import json
import shutil

import numpy as np
import pytest
from support import checkpoint, real_model

OURS, FLOATS = ("ascend", "ascend-v1", "npy"), ("dequantized",)
ALL = (*OURS, "gptq", "gptq-v2", "compressed-tensors", "gguf", *FLOATS)
GROUPS = (*OURS, "autoawq", *ALL[3:])
G64 = ("--scheme", "w4a16", "--group-size", "64")
# Scheme, options, needs data, layouts.
SCHEMES = {
    "w8a16": (("--scheme", "w8a16"), False, ALL),
    "w8a16-asym": (("--scheme", "w8a16", "--asym"), False, (*OURS, "gptq-v2", "compressed-tensors", *FLOATS)),
    "w8a8-dynamic": (("--scheme", "w8a8-dynamic"), False, (*OURS, "compressed-tensors", "gguf", *FLOATS)),
    "w4a16": (("--scheme", "w4a16"), False, ALL),
    "w4a16-g64": (G64, False, GROUPS),
    "w4a16-g64-asym": ((*G64, "--asym"), False, (*OURS, "autoawq", "gptq-v2", "compressed-tensors", *FLOATS)),
    "w4a8-dynamic": (("--scheme", "w4a8-dynamic", "--group-size", "64"), False, (*OURS[:2], *FLOATS)),
    "w8a8": (("--scheme", "w8a8"), True, (*OURS, "compressed-tensors", "gguf", *FLOATS)),
    "w8a8s": (("--scheme", "w8a8s"), True, (*OURS, *FLOATS)),
    "w8a8-smooth": (("--scheme", "w8a8", "--do-smooth"), True, OURS[:1]),
}
CASES = [(scheme, layout) for scheme, (_, _, layouts) in SCHEMES.items() for layout in layouts]
# Every scheme in one layout and every layout with one scheme always run, the others with `scripts/test.sh --interop`.
OFTEN = {*((scheme, layouts[0]) for scheme, (_, _, layouts) in SCHEMES.items()), *(("w4a16-g64", layout) for layout in GROUPS)}
MARKED = [pytest.param(*case, id="-".join(case), marks=[] if case in OFTEN else pytest.mark.long) for case in CASES]
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def model():
    return real_model.folder()


@pytest.fixture
def scratch(tmp_path):
    """Emptied at the end: every folder is as large as a model."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="module")
def kept(model, tmp_path_factory):
    """kept(layout) -> 4 bits in groups of 64, written once."""
    folder = tmp_path_factory.mktemp("kept")
    yield lambda layout: folder / layout if (folder / layout).exists() else write(model, folder / layout, G64, layout)
    shutil.rmtree(folder, ignore_errors=True)


def write(model, out, options, layout, *more):
    real_model.Run(out.parent, "quantize", model, "-o", out, *options, "--format", layout, *more)
    return out


def calibration(demo_calib, needed):
    return ("--calib", demo_calib, "--count", "6", "--max-tokens", "128") if needed else ()


@pytest.mark.parametrize("scheme, layout", MARKED)
def test_quantize(model, scratch, demo_calib, scheme, layout):
    """As much memory as planned, and no more than the source and, where engines want it, the head once more."""
    options, needs_data, _ = SCHEMES[scheme]
    run = real_model.Run(scratch, "quantize", model, "-o", scratch / "out", *options, "--format", layout, *calibration(demo_calib, needs_data))
    run.assert_as_planned()
    assert "E0999" not in run.text
    source = sum(path.stat().st_size for path in model.glob("*.safetensors"))
    twice = checkpoint.read_header(next(model.glob("*.safetensors")))[0][EMBEDDING]["data_offsets"]
    copy = twice[1] - twice[0] if layout in OURS else 0
    wide = 2 if layout == "npy" else 1  # numpy has no bf16
    assert real_model.weight_bytes(scratch / "out") <= wide * (source + copy)


def test_quantize_two_formats_at_once(model, scratch, demo_calib):
    run = real_model.Run(scratch, "quantize", model, "-o", scratch / "out", "--scheme", "w8a8", "--format", "ascend,dequantized",
                         *calibration(demo_calib, True))
    run.assert_as_planned()


@pytest.mark.long
def test_more_data_needs_the_memory_that_is_planned(model, scratch, demo_calib):
    run = real_model.Run(scratch, "quantize", model, "-o", scratch / "out", "--scheme", "w8a8", "--calib", demo_calib, "--pack", "512", "--count", "8")
    run.assert_as_planned()


def test_inspect(pare, model):
    found = json.loads(pare("inspect", model, "--json").stdout)
    assert found["tied_head"] and found["problem"] == ""
    sizes = {(size["scheme"], size["group_size"]): size for size in found["schemes"]}
    # The embedding stays float and counts once: 28 M of 135 M parameters at 16 bits, the others at 4 and a quarter.
    parameters = found["parameters"]
    embedding = next(np.prod(t["shape"]) for t in found["tensors"] if t["name"] == EMBEDDING)
    expected = (16 * embedding + 4.25 * (parameters - embedding)) / parameters
    assert sizes["w4a16", 64]["bits"] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("layout", GROUPS)
def test_eval_and_check(pare, kept, layout, demo_text, model):
    folder = kept(layout)
    options = ("--ppl", demo_text, "--context", "256", "--windows", "2", "--json")
    quantized = json.loads(pare("eval", folder, *options).stdout)["perplexity"]
    original = json.loads(pare("eval", model, *options).stdout)["perplexity"]
    assert original < 60 and 0.95 * original < quantized < 2 * original
    pare("check", folder)


@pytest.mark.parametrize("layout", ["gptq", "gguf", "dequantized"])
def test_compare_and_generate(pare, kept, layout, demo_text, model):
    found = json.loads(pare("compare", model, kept(layout), "--ppl", demo_text, "--context", "128", "--windows", "2", "--json").stdout)
    assert 0 < found["kl_mean"] < 1
    text = pare("generate", kept(layout), "--prompt", "The capital of France is", "--max-new-tokens", "8").stdout.decode()
    assert "Paris" in text


@pytest.mark.parametrize("layout", ["ascend-v1", "gptq", "npy"])
def test_compress_and_decompress(pare, kept, layout, scratch):
    pare("compress", kept(layout), "-o", scratch / "packed")
    pare("decompress", scratch / "packed", "-o", scratch / "again")
    for path in kept(layout).iterdir():
        assert path.read_bytes() == (scratch / "again" / path.name).read_bytes(), path.name
    packed, plain = (sum(path.stat().st_size for path in folder.iterdir()) for folder in (scratch / "packed", kept(layout)))
    said = json.loads((kept(layout) / "report.json").read_text())["size_bytes"]["packed_estimate"]
    assert packed < plain and said == pytest.approx(json.loads((scratch / "packed" / "pare_packed.json").read_text())["packed_bytes"], rel=0.05)


@pytest.mark.parametrize("source, target", [("gptq", "ascend-v1"), ("ascend", "gguf"), ("compressed-tensors", "dequantized")])
def test_convert(pare, kept, source, target, scratch):
    pare("convert", kept(source), "--to", target, "-o", scratch / "out")
    names = {tensor["name"] for tensor in json.loads(pare("inspect", scratch / "out", "--json").stdout)["tensors"]}
    assert EMBEDDING in names and (HEAD in names) == (target in OURS)
