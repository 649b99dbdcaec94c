"""What has no place in a layout is refused with the reason, and with the layouts that would do."""
import json

import numpy as np
import pytest
from support import checkpoint
from support.conversion import DYNAMIC, STATIC, W4, W4G, W8, assert_same_linears, copy_with, report


@pytest.mark.parametrize("options, layout, says", [
    (W8, "autoawq", "--to ascend-v1, npy, compressed-tensors; with scales and float tensors in F16: --to gptq, gptq-v2"),
    (W4, "autoawq", "with scales and float tensors in F16: --to gptq, gptq-v2"),
    (STATIC, "gptq", "without loss: --to ascend-v1, npy, compressed-tensors"),
    (DYNAMIC, "autoawq", "without loss: --to ascend-v1, npy, compressed-tensors"),
    (("--scheme", "w4a8-dynamic", "--group-size", "64"), "npy", "without loss: --to ascend-v1"),
    (("--scheme", "w8a16", "--mm-tensor"), "gptq", "without loss: --to ascend-v1, npy")])
def test_no_place_for_a_scheme(fails, quantized, options, layout, says):
    text = fails("E0318", 4, "convert", quantized(options), "--to", layout)
    assert says in text and "--format" not in text and "model.layers.0.self_attn.q_proj" in text


def test_no_place_for_the_bias_of_a_norm(fails, quantize):
    source = quantize(*STATIC, "--do-smooth")
    text = fails("E0318", 4, "convert", source, "--to", "compressed-tensors")
    assert "model.layers.0.input_layernorm.bias" in text and "without loss: --to ascend-v1, npy" in text


def test_the_bias_of_a_norm_that_is_zero_is_left_out(pare, quantized, tmp_path):
    """What msModelSlim's smoothing without a shift leaves behind."""
    def change(tensors):
        tensors["model.layers.1.input_layernorm.bias"] = np.zeros(256, checkpoint.BF16)

    source = copy_with(quantized(W4G), tmp_path / "source", change)
    path = source / "quant_model_description_w4a16.json"
    tags = json.loads(path.read_text())
    path.chmod(0o600)
    path.write_text(json.dumps({**tags, "model.layers.1.input_layernorm.bias": "FLOAT"}))
    text = pare("convert", source, "--to", "autoawq", "-o", tmp_path / "out").stdout.decode()
    assert "left out model.layers.1.input_layernorm.bias: bias of a norm, all 0" in text
    assert report(tmp_path / "out")["coverage"]["tensors_dropped"] == 1


def test_gptq_v1_has_no_place_for_the_lowest_zero(fails, pare, lowest_zero, tmp_path):
    text = fails("E0318", 4, "convert", lowest_zero, "--to", "gptq")
    assert "model.layers.4.self_attn.o_proj" in text and "row 3, group 2" in text and "--to gptq-v2" in text
    pare("convert", lowest_zero, "--to", "gptq-v2", "-o", tmp_path / "v2")
    assert report(tmp_path / "v2")["max_weight_difference"] == 0


def test_refitting_is_asked_for_and_stated(pare, lowest_zero, tmp_path):
    text = pare("convert", lowest_zero, "--to", "gptq", "--refit-zeros", "-o", tmp_path / "out").stdout.decode()
    assert report(tmp_path / "out")["refitted_groups"] == 1 and report(tmp_path / "out")["max_weight_difference"] > 0
    assert "1 groups" in text and "quantized again" in text


def shuffled_groups(folder, target):
    """A GPTQ folder in act-order: the groups of all columns of one linear exchanged."""
    def change(tensors):
        index = tensors["model.layers.0.mlp.up_proj.g_idx"]
        tensors["model.layers.0.mlp.up_proj.g_idx"] = np.random.default_rng(0).permutation(index)

    return copy_with(folder, target, change)


def test_act_order_has_a_place_in_few_layouts(convert, fails, pare, quantize, tmp_path):
    source = shuffled_groups(quantize(*W4G, "--format", "gptq", calib=None), tmp_path / "source")
    for layout in ("autoawq", "ascend", "ascend-v1"):
        text = fails("E0318", 4, "convert", source, "--to", layout)
        assert "act-order" in text and "without loss: --to gptq-v2, compressed-tensors" in text
    for layout in ("gptq-v2", "compressed-tensors"):
        pare("convert", source, "--to", layout, "-o", tmp_path / layout)
        pare("convert", tmp_path / layout, "--to", "gptq", "-o", tmp_path / f"{layout}-back")
        assert_same_linears(tmp_path / f"{layout}-back", source)
