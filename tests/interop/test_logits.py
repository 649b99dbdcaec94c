"""Logits of `pare eval --input-ids … --logits-to` against Hugging Face transformers in float32.

The default tests compare with the stored logits of tests/golden/models; the live ones ask the installed transformers.
"""
import json

import numpy as np
import pytest

from support import program

MODELS = sorted(path.parent for path in (program.GOLDEN / "models").glob("*/logits.npy"))
LIMIT = 1e-4  # of max |logit|


def sequences_of(path):
    return [json.loads(line)["input_ids"] for line in path.read_text().splitlines()]


def pare_logits(pare, model, ids_file, out):
    pare("eval", model, "--input-ids", ids_file, "--logits-to", out, "--compute", "f32")
    logits = np.load(out)
    assert logits.dtype == np.float32 and logits.ndim == 2
    return logits


def ratio(got, expected):
    assert got.shape == expected.shape
    assert np.isfinite(got).all()
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def test_every_listed_architecture_has_a_golden_model():
    kinds = {json.loads((model / "config.json").read_text())["model_type"] for model in MODELS}
    assert kinds == {"llama", "mistral", "qwen2", "qwen3"}
    assert len(MODELS) >= 16


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_golden_logits(pare, model, tmp_path, measured):
    got = pare_logits(pare, model, model / "input_ids.jsonl", tmp_path / "logits.npy")
    worst = ratio(got, np.load(model / "logits.npy"))
    measured(f"logits, stored goldens: {model.name}: max |difference| / max |logit| = {worst:.2e}")
    assert worst < LIMIT


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_sequences_do_not_touch_each_other(pare, model, tmp_path):
    """Each sequence alone, and in the other order, gives the rows it gave together."""
    together = np.load(model / "logits.npy")
    sequences = sequences_of(model / "input_ids.jsonl")
    reordered = tmp_path / "reordered.jsonl"
    reordered.write_text("".join(json.dumps({"input_ids": ids}) + "\n" for ids in reversed(sequences)))
    got = pare_logits(pare, model, reordered, tmp_path / "logits.npy")
    ends = np.cumsum([len(ids) for ids in sequences])
    expected = np.concatenate([together[end - len(ids):end] for ids, end in reversed(list(zip(sequences, ends)))])
    assert ratio(got, expected) < LIMIT


@pytest.mark.live
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_stored_goldens_are_what_transformers_computes(model):
    from support import torch_models

    now = torch_models.logits(model, sequences_of(model / "input_ids.jsonl"))
    assert ratio(np.load(model / "logits.npy"), now) < LIMIT / 10


@pytest.mark.live
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_golden_models_live(pare, model, tmp_path, measured):
    from support import torch_models

    got = pare_logits(pare, model, model / "input_ids.jsonl", tmp_path / "logits.npy")
    worst = ratio(got, torch_models.logits(model, sequences_of(model / "input_ids.jsonl")))
    measured(f"logits, live: {model.name}: max |difference| / max |logit| = {worst:.2e}")
    assert worst < LIMIT


@pytest.mark.live
def test_demo_model_live(pare, demo_model, demo_text, tmp_path, measured):
    from support import torch_models
    from support.tokenizer_judges import LibraryJudge

    ids = LibraryJudge.from_file(demo_model / "tokenizer.json").encode(demo_text.read_bytes().decode("utf-8"))
    sequences = [ids[:1], ids[:17], ids[:256], ids[100:612]]
    file = tmp_path / "ids.jsonl"
    file.write_text("".join(json.dumps({"input_ids": sequence}) + "\n" for sequence in sequences))
    got = pare_logits(pare, demo_model, file, tmp_path / "logits.npy")
    worst = ratio(got, torch_models.logits(demo_model, sequences))
    measured(f"logits, live: demo model, {len(got)} rows: max |difference| / max |logit| = {worst:.2e}")
    assert worst < LIMIT
