"""transformers with compressed-tensors loads folders as Pare leaves them: AutoModelForCausalLM.from_pretrained, nothing else."""
import json

import numpy as np
import pytest

from support import checkpoint, judge_cells, judging

pytestmark = pytest.mark.live
CT = "compressed-tensors"
SYMMETRIC = [scheme for scheme in judge_cells.WEIGHT_ONLY if not scheme.endswith("asym")]
# Parts of what rounding the activations changes at all. Static: both round with the same scale, and differ in the values that
# lie near the middle between two steps. Dynamic: the scale is largest / 127.5 there and largest / 127 here, so it is two
# independent roundings, whose difference is larger than either.
OF_ROUNDING = {"w8a8": 0.5, "w8a8-dynamic": 1.5}
ASYMMETRIC = [scheme for scheme in judge_cells.WEIGHT_ONLY if scheme.endswith("asym")]


def ask(hugging_face, folder, sequences, dtype="float32"):
    answer = hugging_face.ask("transformers_judge.logits", folder, sequences, dtype)
    assert not answer["strange"], answer["strange"]  # tensors missing, left over, or of another shape
    return answer["logits"]


@pytest.mark.parametrize("layout, scheme", [*[(CT, scheme) for scheme in SYMMETRIC], ("dequantized", "w4a16-g64"), ("dequantized", "w4a16-g64-asym")])
def test_float_activations(hugging_face, written_for, pare_logits, judge_sequences, judged, layout, scheme):
    folder = written_for(layout, scheme)
    judged(layout, scheme, "transformers, float32", ask(hugging_face, folder, judge_sequences), pare_logits(folder), judging.FLOAT32)


@pytest.fixture(scope="module")
def tolerance():
    """tolerance(scheme): of schemes that round activations, against the same weights with float ones."""
    def of(scheme, written_for, pare_logits):
        return OF_ROUNDING[scheme] * judging.worst(pare_logits(written_for(CT, scheme)), pare_logits(written_for(CT, "w8a16")))
    return of


@pytest.mark.parametrize("scheme", judge_cells.ACTIVATIONS)
def test_rounded_activations(hugging_face, written_for, pare_logits, judge_sequences, judged, tolerance, scheme):
    folder = written_for(CT, scheme)
    judged(CT, scheme, "transformers, float32", ask(hugging_face, folder, judge_sequences), pare_logits(folder),
           tolerance(scheme, written_for, pare_logits))


@pytest.mark.parametrize("scheme", ASYMMETRIC)
def test_zero_points_by_the_library_alone(hugging_face, written_for, scheme):
    """from_pretrained cannot load packed zero points (vllm-project/llm-compressor#1618, #1704): the library's decompressor can."""
    folder = written_for(CT, scheme)
    ours, stored = checkpoint.read_folder(written_for("dequantized", scheme)), checkpoint.read_folder(folder)
    config = json.loads((folder / "config.json").read_text())["quantization_config"]["config_groups"]["group_0"]
    for linear in ("model.layers.0.self_attn.q_proj", "model.layers.5.mlp.down_proj"):
        parts = {name[len(linear) + 1:]: array for name, array in stored.items() if name.startswith(linear + ".")}
        assert parts.keys() == {"weight_packed", "weight_scale", "weight_shape", "weight_zero_point"}
        parts["weight_scale"] = parts["weight_scale"].astype(np.float32)
        weight = hugging_face.ask("transformers_judge.decompress", parts, config)
        assert np.array_equal(weight.astype(checkpoint.BF16), ours[linear + ".weight"])


BREAKS = {"nibble order": ("w4a16-g64", judging.swap_nibbles(".weight_packed")),
          "input scale": ("w8a8", lambda name, array: array * 2 if name.endswith(".input_scale") else array),
          "input zero point": ("w8a8", lambda name, array: array // 2 if name.endswith(".input_zero_point") else array)}


@pytest.mark.parametrize("what", BREAKS)
def test_the_comparison_sees(hugging_face, written_for, pare_logits, judge_sequences, tolerance, tmp_path, what):
    scheme, change = BREAKS[what]
    folder = written_for(CT, scheme)
    broken = judging.copy_with(folder, tmp_path / "broken", change)
    ours = pare_logits(folder)
    limit = judging.FLOAT32 if scheme not in OF_ROUNDING else tolerance(scheme, written_for, pare_logits)
    assert judging.worst(ask(hugging_face, broken, judge_sequences), ours) > 1.5 * limit
