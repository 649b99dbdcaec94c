"""`pare convert` from the outside: what it writes is read here by safetensors and numpy alone."""
import json
import shutil

import numpy as np
import pytest
from support import checkpoint, program
from support.conversion import (DYNAMIC, STATIC, W4, W4A, W4G, W4G128, W4GA, W8, W8A, W8G, assert_same_linears, config_of, linear_tensors, report)

OURS = ("ascend", "ascend-v1", "npy")
GPTQ = ("gptq", "gptq-v2")
# What holds a scheme without loss, next to the layouts of Ascend: section by section of docs/converting.md.
EXACT = [(W4G, ("autoawq", *GPTQ, "compressed-tensors")), (W4GA, ("autoawq", *GPTQ, "compressed-tensors")),
         (W4G128, ("autoawq", *GPTQ, "compressed-tensors")), (W4, (*GPTQ, "compressed-tensors")), (W4A, (*GPTQ, "compressed-tensors")),
         (W8, (*GPTQ, "compressed-tensors")), (W8G, (*GPTQ, "compressed-tensors")), (W8A, (*GPTQ, "compressed-tensors")),
         (STATIC, ("compressed-tensors",)), (DYNAMIC, ("compressed-tensors",))]
LABELS = ["-".join(word.strip("-") for word in options[1:]) for options, _ in EXACT]


@pytest.mark.parametrize("options, layouts", EXACT, ids=LABELS)
def test_every_exact_layout_and_back(convert, quantized, options, layouts):
    source = quantized(options)
    for layout in (*OURS, *layouts):
        there = convert(source, layout)
        assert report(there)["max_weight_difference"] == 0 and report(there)["scales"]["rounded"] == 0, layout
        assert_same_linears(convert(there, "ascend"), source)


@pytest.mark.parametrize("options", [W4GA, W8], ids=["w4a16-group-asym", "w8a16-row"])
def test_every_pair_of_layouts(convert, quantized, options):
    """A -> B holds what ascend -> B holds; with the round trips above, every A -> B -> A."""
    source = quantized(options)
    layouts = (*OURS[1:], *dict(EXACT)[options])
    for first in layouts:
        for second in layouts:
            if first != second:
                assert_same_linears(convert(convert(source, first), second), convert(source, second))


def test_what_quantize_writes_and_what_convert_writes(convert, quantize, half_model):
    source = quantize(*W4GA, model=half_model, calib=None)
    for layout in ("autoawq", *GPTQ, "compressed-tensors", "ascend-v1"):
        directly = quantize(*W4GA, "--format", layout, model=half_model, calib=None)
        for path in directly.glob("*.safetensors"):
            assert path.read_bytes() == (convert(source, layout) / path.name).read_bytes(), layout
        assert config_of(directly) == config_of(convert(source, layout))


def unpacked(words, axis, order):
    """I32 words -> 4-bit codes as they lie in the file (0..15), eight along `axis`."""
    shifts = np.array(order, np.uint32) * 4
    fields = (np.expand_dims(words.view(np.uint32), axis + 1) >> shifts.reshape((-1, 1) if axis == 0 else (1, 1, -1))) & 15
    shape = list(words.shape)
    shape[axis] *= 8
    return fields.reshape(shape).astype(np.float32)


@pytest.mark.parametrize("layout", ["autoawq", "gptq", "gptq-v2"])
def test_numpy_decodes_the_same_weights(convert, quantized, layout):
    source, there = checkpoint.read_folder(quantized(W4GA)), checkpoint.read_folder(convert(quantized(W4GA), layout))
    natural, awq = range(8), (0, 4, 1, 5, 2, 6, 3, 7)
    for module in ("model.layers.0.self_attn.q_proj", "model.layers.5.mlp.down_proj"):
        scales = np.repeat(there[f"{module}.scales"].astype(np.float32), 64, axis=0)
        zeros = unpacked(there[f"{module}.qzeros"], 1, awq if layout == "autoawq" else natural) + (layout == "gptq")
        codes = unpacked(there[f"{module}.qweight"], *((1, awq) if layout == "autoawq" else (0, natural)))
        weight = ((codes - np.repeat(zeros, 64, axis=0)) * scales).T
        part = {key: source[f"{module}.{key}"].astype(np.float32) for key in ("weight", "weight_scale", "weight_offset")}
        expected = (part["weight"] - np.repeat(part["weight_offset"], 64, axis=1)) * np.repeat(part["weight_scale"], 64, axis=1)
        assert np.array_equal(weight, expected)


def test_the_perplexity_stays_to_the_last_digit(convert, quantize, half_model):
    source = quantize(*W4GA, model=half_model, calib=None)
    expected = program.perplexity(source)
    for layout in ("ascend-v1", "npy", "autoawq", "gptq", "gptq-v2", "compressed-tensors"):
        assert program.perplexity(convert(source, layout)) == expected, layout
        assert report(convert(source, layout))["float_tensors"]["rounded"] == 0


@pytest.mark.parametrize("options", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_int8_activations_keep_the_perplexity(convert, quantized, options):
    source = quantized(options)
    for layout in ("ascend-v1", "npy", "compressed-tensors"):
        assert program.perplexity(convert(source, layout)) == program.perplexity(source), layout


def test_a_bias_goes_along(convert, quantize):
    model = program.GOLDEN / "models" / "llama-mqa-bias"
    for options, layouts in ((STATIC, ("npy", "compressed-tensors")), (W8, ("gptq", "compressed-tensors"))):
        source = quantize(*options, model=model, calib=model / "input_ids.jsonl" if options == STATIC else None)
        for layout in layouts:
            back = convert(convert(source, layout), "ascend")
            assert any(name.endswith("q_proj.bias") for name in linear_tensors(back))
            if layout != "gptq":  # which holds biases in F16
                assert_same_linears(back, source)


def test_smoothed_norms_keep_their_copies(convert, quantize):
    source = quantize(*STATIC, "--do-smooth")
    back = convert(convert(source, "npy"), "ascend")
    left, right = checkpoint.read_folder(source), checkpoint.read_folder(back)
    assert left.keys() == right.keys()
    copies = [name for name in left if "norm.module." in name]
    assert len(copies) == 24
    for name in copies:
        assert np.array_equal(right[name].astype(np.float32), left[name].astype(np.float32)), name
    tags = json.loads((back / "quant_model_description_w8a8.json").read_text())
    assert {tags[name] for name in copies} == {"W8A8"}


def test_plain_floats_are_the_weights_that_codes_stand_for(convert, quantized):
    source, there = checkpoint.read_folder(quantized(W8)), checkpoint.read_folder(convert(quantized(W8), "dequantized"))
    name = "model.layers.3.mlp.up_proj.weight"
    part = [source[name + suffix].astype(np.float32) for suffix in ("", "_scale")]
    expected = part[0] * part[1]
    assert there[name].dtype == checkpoint.BF16 and np.array_equal(there[name], expected.astype(checkpoint.BF16))
    assert "quantization_config" not in config_of(convert(quantized(W8), "dequantized"))


def test_packed_folders_are_read_as_they_are(convert, pare, quantized, tmp_path):
    pare("compress", quantized(W4GA), "-o", tmp_path / "packed")
    pare("convert", tmp_path / "packed", "--to", "gptq", "-o", tmp_path / "out")
    assert_same_linears(tmp_path / "out", convert(quantized(W4GA), "gptq"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in convert(quantized(W4GA), "gptq").iterdir())


def test_an_unknown_architecture_is_no_obstacle(convert, quantized, tmp_path):
    source = shutil.copytree(quantized(W4G), tmp_path / "source")
    (source / "config.json").write_text(json.dumps({**config_of(source), "model_type": "unheard", "architectures": ["Unheard"]}))
    assert_same_linears(convert(source, "autoawq"), convert(quantized(W4G), "autoawq"))


def test_any_number_of_threads_writes_the_same_files(pare, quantized, tmp_path):
    for threads in (1, 4):
        pare("convert", quantized(W4GA), "--to", "gptq", "-o", tmp_path / f"out-{threads}", "--threads", threads)
    assert (tmp_path / "out-1" / "model.safetensors").read_bytes() == (tmp_path / "out-4" / "model.safetensors").read_bytes()


def test_events_and_text(pare, quantized, tmp_path):
    done = pare("convert", quantized(W4G), "--to", "gptq", "-o", tmp_path / "out", "--json")
    event = [json.loads(line) for line in done.stdout.decode().splitlines()][-1]
    assert event["event"] == "done" and (event["from"], event["to"]) == ("ascend", "gptq")
    assert event["linears"] == 42 and event["max_weight_difference"] == 0 and event["scales_rounded"] == 0
    text = pare("convert", quantized(W4G), "--to", "gptq-v2", "-o", tmp_path / "out2").stdout.decode()
    assert "42 linears and 15 float tensors" in text and "largest difference 0: every weight is the same" in text


def test_help(pare):
    text = " ".join(pare("convert", "--help").stdout.decode().split())
    for word in ("--to FORMAT", "--force", "--part-file-size", "--refit-zeros", "docs/converting.md"):
        assert word in text
    assert "convert" in pare("--help").stdout.decode() and "ms-to-vllm" in pare("--help").stdout.decode()
