"""Scales that F16 cannot hold exactly: counted, stated, or refused."""
import numpy as np
import pytest
from support import checkpoint, program
from support.conversion import copy_with, report


def test_rounded_scales_are_counted_and_their_effect_is_stated(pare, wide_scales, tmp_path):
    text = pare("convert", wide_scales, "--to", "gptq", "-o", tmp_path / "out").stdout.decode()
    source, out = checkpoint.read_folder(wide_scales), report(tmp_path / "out")
    count = changed = 0
    worst = difference = 0.0
    for name in [name for name in source if name.endswith(".weight_scale")]:
        exact = source[name].astype(np.float64)
        stored = source[name].astype(np.float16).astype(np.float64)
        count, changed = count + exact.size, changed + int((stored != exact).sum())
        worst = max(worst, np.abs(stored / exact - 1).max())
        codes = source[name.removesuffix("_scale")].astype(np.float64).reshape(*exact.shape, 64)
        difference = max(difference, (np.abs(codes).max(axis=2) * np.abs(stored - exact)).max())
    assert (out["scales"]["count"], out["scales"]["rounded"]) == (count, changed) and changed > count // 2
    assert out["scales"]["worst_relative_change"] == pytest.approx(worst, rel=1e-6) and worst <= 2**-11
    assert out["max_weight_difference"] == pytest.approx(difference, rel=1e-6)
    assert f"{changed} of {count} scales rounded to F16" in text and "from rounded scales" in text
    # The measure moves as little as the weights do.
    assert program.perplexity(tmp_path / "out") == pytest.approx(program.perplexity(wide_scales), rel=1e-3)


def test_compressed_tensors_keeps_wide_scales(convert, wide_scales):
    there = convert(wide_scales, "compressed-tensors")
    assert report(there)["max_weight_difference"] == 0
    assert checkpoint.read_folder(there)["model.layers.0.mlp.up_proj.weight_scale"].dtype == np.float32


@pytest.mark.parametrize("scale", [1e6, 1e-12])
def test_a_scale_outside_f16_is_refused(fails, wide_scales, tmp_path, scale):
    def change(tensors):
        tensors["model.layers.2.mlp.up_proj.weight_scale"][7, 1] = scale

    source = copy_with(wide_scales, tmp_path / "source", change)
    text = fails("E0502", 5, "convert", source, "--to", "gptq")
    assert "model.layers.2.mlp.up_proj, row 7, group 1" in text and "compressed-tensors" in text
