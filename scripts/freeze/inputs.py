"""What every case may read, below `in`: copies of the demo and the golden models, and variants."""
import csv
import hashlib
import json
import pathlib
import shutil

import safetensors_edit as edit

PROJECT = pathlib.Path(__file__).resolve().parents[2]
MODELS = sorted(p.name for p in (PROJECT / "tests/golden/models").iterdir() if p.is_dir())
TOKENIZERS = sorted(p.name for p in (PROJECT / "tests/golden/tokenizers").iterdir() if p.is_dir())

DEMO, TEXT, CALIB = "in/demo", "in/text.txt", "in/calib.jsonl"
CALIB_LINES = 4  # 311 tokens: calibration of the demo model takes a quarter of a second
SCALED_NORM = "model.layers.2.input_layernorm.weight"


def golden(name):
    return f"in/models/{name}"


def ids(name):
    return f"{golden(name)}/input_ids.jsonl"


def calibration(model):
    """The options for a model of this module; f32, because bf16 differs between CPUs."""
    found = CALIB if model == DEMO else f"{model}/input_ids.jsonl"
    return ["--calib", found, "--compute", "f32"]


def make(folder):
    shutil.copytree(PROJECT / "demo/model", folder / "demo")
    shutil.copyfile(PROJECT / "demo/text.txt", folder / "text.txt")
    shutil.copytree(PROJECT / "tests/golden/models", folder / "models")
    shutil.copytree(PROJECT / "tests/golden/tokenizers", folder / "tokenizers")
    make_calibration(folder)
    make_variants(folder)
    make_broken(folder)


def known_files(folder):
    """(name, SHA-256) of all inputs, to tell what was copied."""
    return frozenset((p.name, hashlib.sha256(p.read_bytes()).hexdigest())
                     for p in folder.rglob("*") if p.is_file())


def make_calibration(folder):
    """The same four texts in every format that is read."""
    lines = (PROJECT / "demo/calib.jsonl").read_text().splitlines()[:CALIB_LINES]
    texts = [json.loads(line)["text"] for line in lines]
    (folder / "calib.jsonl").write_text("".join(line + "\n" for line in lines))
    (folder / "calib.json").write_text(json.dumps([{"text": text} for text in texts]))
    (folder / "calib.txt").write_text("\n".join(texts) + "\n")
    with open(folder / "calib.csv", "w", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    fields = [{"passage": text, "question": "What then"} for text in texts]
    (folder / "fields.jsonl").write_text("".join(json.dumps(f) + "\n" for f in fields))
    rows = [{"input_ids": list(range(first, first + 60))} for first in (5, 900, 2500)]
    (folder / "ids.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "ids-too-large.jsonl").write_text('{"input_ids": [1, 2, 4096]}\n')
    (folder / "not-json.jsonl").write_text(lines[0] + '\n{"text": \n')
    (folder / "empty.txt").write_text("")


def with_config(model, target, **changes):
    """A copy of a model with other values in config.json. -> the copy"""
    shutil.copytree(model, target)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, **changes}, indent=2))
    return target


def make_variants(folder):
    """Models that Pare takes, and that neither the demo nor the golden ones are."""
    unknown = {"model_type": "unheard", "architectures": ["UnheardForCausalLM"]}
    with_config(folder / "demo", folder / "unknown-demo", **unknown)
    with_config(folder / "models/llama-gqa", folder / "unknown-tiny", **unknown)
    # One channel of a norm is far larger than the others: what smoothing is for. 80 42: 64 in BF16.
    rough = folder / "rough"
    shutil.copytree(folder / "demo", rough)
    edit.change(rough / "model.safetensors", SCALED_NORM, lambda data: b"\x80\x42" + data[2:])


def make_broken(folder):
    """Models that Pare refuses."""
    tiny, broken = folder / "models/llama-mha", folder / "broken"
    with_config(tiny, broken / "more-layers", num_hidden_layers=3)
    with_config(tiny, broken / "wrong-width", intermediate_size=100)
    with_config(tiny, broken / "wrong-type", hidden_size="big")
    weights = {name: shutil.copytree(tiny, broken / name) / "model.safetensors"
               for name in ("nan", "cut", "no-weights", "pickle", "no-json", "no-config")}
    edit.change(weights["nan"], "model.layers.1.mlp.up_proj.weight",
                lambda data: data[:28] + b"\x00\x00\xc0\x7f" + data[32:])
    weights["cut"].write_bytes(weights["cut"].read_bytes()[:-1000])
    weights["no-weights"].unlink()
    weights["pickle"].rename(weights["pickle"].with_name("pytorch_model.bin"))
    (broken / "no-json/config.json").write_text("{")
    (broken / "no-config/config.json").unlink()
    shards = shutil.copytree(folder / "models/llama-gqa", broken / "no-shard")
    (shards / "model-00002-of-00002.safetensors").unlink()
    plain = shutil.copytree(folder / "demo", broken / "no-tokenizer")
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        (plain / name).unlink()
    (broken / "empty").mkdir()
