"""Every golden architecture through every scheme: what the files hold still computes the model."""
import numpy as np
import pytest
from support import program

MODELS = sorted(path.name for path in (program.GOLDEN / "models").iterdir() if path.is_dir())
# Decibels of logits against the original's; these tiny random models lose more than trained ones do.
LEAST = {"w8a8": 17, "w8a8-dynamic": 24, "w8a16": 29, "w4a16": 5}


@pytest.mark.parametrize("scheme", LEAST)
@pytest.mark.parametrize("name", MODELS)
def test_logits_survive_quantization(pare, tmp_path, name, scheme):
    model = program.GOLDEN / "models" / name
    ids = model / "input_ids.jsonl"
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", scheme, "--calib", ids, "--quantize-last-linear")
    pare("eval", tmp_path / "out", "--input-ids", ids, "--logits-to", tmp_path / "logits.npy")
    original, quantized = np.load(model / "logits.npy").reshape(-1), np.load(tmp_path / "logits.npy").reshape(-1)
    decibels = 10 * np.log10(np.sum(original**2) / np.sum((original - quantized) ** 2))
    assert decibels > LEAST[scheme]
