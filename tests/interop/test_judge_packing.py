"""AutoAWQ's and AutoGPTQ's own packing code makes the words that Pare writes, from the same codes, scales and zeros."""
import numpy as np
import pytest

from support import checkpoint

pytestmark = pytest.mark.live
G64 = ("--scheme", "w4a16", "--group-size", "64")
LINEARS = ["model.layers.0.self_attn.q_proj", "model.layers.2.mlp.gate_proj", "model.layers.5.mlp.down_proj"]


def parts_of(folder, linear, bits):
    """Weight [O, I] f32, scales and Z [O, G] from a folder of plain int8 codes."""
    stored = checkpoint.read_folder(folder)
    codes, scale, offset = (stored[f"{linear}.{part}"].astype(np.float32) for part in ("weight", "weight_scale", "weight_offset"))
    scale, offset = scale.reshape(len(codes), -1), offset.reshape(len(codes), -1)
    columns = codes.shape[1] // scale.shape[1]
    weight = (codes - np.repeat(offset, columns, axis=1)) * np.repeat(scale, columns, axis=1)
    return weight, scale, offset + 2 ** (bits - 1), columns


def assert_same(folder, linear, words):
    stored = checkpoint.read_folder(folder)
    for part, array in words.items():
        ours = stored[f"{linear}.{part}"]
        assert ours.shape == array.shape
        same = np.array_equal(ours, array) if part != "scales" else np.array_equal(ours, array.astype(np.float16))
        assert same, (linear, part)


@pytest.mark.parametrize("linear", LINEARS)
@pytest.mark.parametrize("asymmetric", [(), ("--asym",)], ids=["symmetric", "asymmetric"])
def test_autoawq(autoawq, quantize, linear, asymmetric):
    both = quantize(*G64, *asymmetric, "--format", "ascend,autoawq", calib=None)
    weight, scales, zeros, columns = parts_of(both / "ascend", linear, 4)
    assert_same(both / "autoawq", linear, autoawq.ask("packing_judge.awq", weight, scales, zeros, columns))


@pytest.mark.parametrize("linear", LINEARS)
@pytest.mark.parametrize("bits, options", [(4, G64), (8, ("--scheme", "w8a16", "--group-size", "128")), (4, ("--scheme", "w4a16"))])
def test_autogptq(autogptq, quantize, linear, bits, options):
    both = quantize(*options, "--format", "ascend,gptq", calib=None)
    weight, scales, zeros, columns = parts_of(both / "ascend", linear, bits)
    assert_same(both / "gptq", linear, autogptq.ask("packing_judge.gptq", weight, scales, zeros, columns, bits))
