"""Makes the tiny random checkpoints of tests/golden/models with Hugging Face transformers.

Each folder holds a checkpoint as transformers writes it (or with the older spelling of config.json), token ids, and the
float32 logits that transformers computes from the stored weights with eager attention, one sequence at a time.

    python make_models.py            makes every model again (needs torch, transformers)
    python make_models.py --check    reloads what is stored and compares; writes nothing

Every variant names mutations of its config. Each must move the logits by more than 1e-2 of their maximum, so a program
that ignores the feature cannot pass the comparison with logits.npy.
"""
import argparse
import dataclasses
import json
import pathlib
import shutil
import sys

import numpy as np
import torch
import transformers

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models"
SEED = 20240229
VISIBLE = 1e-2  # a mutation must move the logits by more than this share of max |logit|
SMALL = dict(
    vocab_size=96, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, max_position_embeddings=128, rms_norm_eps=1e-5, hidden_act="silu",
    initializer_range=0.2, bos_token_id=1, eos_token_id=2, pad_token_id=None, tie_word_embeddings=False)


@dataclasses.dataclass
class Variant:
    name: str
    arch: str                      # prefix of the transformers classes
    config: dict
    why: str
    old_style: bool = False        # rope_theta / rope_scaling / torch_dtype instead of rope_parameters / dtype
    drop: tuple = ()               # keys removed from the stored config.json: readers must know the default
    dtype: str = "float32"
    shard_size: str | None = None
    lengths: tuple = (12, 40)
    mutations: tuple = ()          # config changes that must be visible in the logits


def rope(theta=10000.0, kind="default", **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **more}}


LLAMA3 = rope(500.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)

VARIANTS = [
    Variant("llama-mha", "Llama", {**rope(10000.0)}, "plain multi-head attention, defaults left out of config.json",
            old_style=True, drop=("num_key_value_heads", "rope_theta", "rope_scaling", "head_dim", "attention_bias",
                                  "mlp_bias", "tie_word_embeddings", "pretraining_tp"),
            mutations=(rope(200.0), dict(rms_norm_eps=0.3))),
    Variant("llama-gqa", "Llama", dict(num_key_value_heads=2, **rope(500000.0)), "grouped-query attention, two shards with an index",
            shard_size="60KB", mutations=(rope(10000.0),)),
    Variant("llama-mqa-bias", "Llama", dict(num_key_value_heads=1, attention_bias=True, mlp_bias=True, **rope(10000.0)),
            "one key/value head; biases on q, k, v, o and on gate, up, down", mutations=(rope(200.0),)),
    Variant("llama-tied", "Llama", dict(tie_word_embeddings=True, rms_norm_eps=1e-6, **rope(10000.0)), "the head is the embedding",
            old_style=True, mutations=(rope(200.0),)),
    Variant("llama-rope-llama3", "Llama", dict(num_attention_heads=2, num_key_value_heads=2, **LLAMA3),
            "rope scaling llama3: kept, blended and divided frequencies", mutations=(rope(500.0),)),
    Variant("llama-rope-linear", "Llama", {**rope(10000.0, "linear", factor=4.0)}, "rope scaling linear, old spelling `type`",
            old_style=True, mutations=(rope(10000.0),)),
    Variant("llama-rope-dynamic", "Llama", dict(max_position_embeddings=16, **rope(10000.0, "dynamic", factor=3.0)),
            "rope scaling dynamic: one sequence within max_position_embeddings, one beyond",
            mutations=(dict(max_position_embeddings=64), rope(10000.0))),
    Variant("llama-bf16", "Llama", dict(num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True, **LLAMA3),
            "bfloat16 weights, llama3 scaling in the old spelling, tied head", old_style=True, dtype="bfloat16",
            mutations=(rope(500.0),)),
    Variant("llama-f16", "Llama", dict(num_key_value_heads=2, **rope(10000.0)), "float16 weights", dtype="float16",
            mutations=(rope(200.0),)),
    Variant("mistral-window", "Mistral", dict(num_key_value_heads=2, sliding_window=8, **rope(10000.0)),
            "sliding window of 8 with a sequence of 40", mutations=(dict(sliding_window=None), dict(sliding_window=9))),
    Variant("mistral-head-dim", "Mistral", dict(num_key_value_heads=2, head_dim=12, sliding_window=None, **rope(1000000.0)),
            "explicit head_dim: 4 heads of 12 against a hidden size of 32", old_style=True, mutations=(rope(10000.0),)),
    Variant("qwen2-tied", "Qwen2", dict(num_key_value_heads=2, tie_word_embeddings=True, use_sliding_window=False,
                                        rms_norm_eps=1e-6, **rope(1000000.0)),
            "biases on q, k, v and none on o; window present in config.json but off", old_style=True,
            mutations=(rope(10000.0),)),
    Variant("qwen2-window", "Qwen2", dict(num_key_value_heads=2, use_sliding_window=True, sliding_window=6, max_window_layers=1,
                                          **rope(10000.0)),
            "window of 6 on layer 1 only, said by layer_types", mutations=(dict(max_window_layers=2, layer_types=None),
                                                                           dict(max_window_layers=0, layer_types=None))),
    Variant("qwen2-window-old", "Qwen2", dict(num_key_value_heads=4, use_sliding_window=True, sliding_window=6, max_window_layers=1,
                                              **rope(10000.0)),
            "window of 6 on layer 1 only, said by max_window_layers alone", old_style=True,
            mutations=(dict(max_window_layers=2, layer_types=None), dict(max_window_layers=0, layer_types=None))),
    Variant("qwen3", "Qwen3", dict(num_key_value_heads=2, head_dim=16, attention_bias=False, rms_norm_eps=1e-6, **rope(1000000.0)),
            "RMSNorm on q and k per head before rope; 4 heads of 16 against a hidden size of 32", mutations=(rope(10000.0),)),
    Variant("qwen3-bias-tied", "Qwen3", dict(num_key_value_heads=1, head_dim=8, attention_bias=True, tie_word_embeddings=True,
                                             **rope(10000.0)),
            "as qwen3 with biases on q, k, v, o and a tied head", old_style=True, mutations=(rope(200.0),)),
]


def make_config(variant, **changes):
    config_class = getattr(transformers, variant.arch + "Config")
    return config_class(**{**SMALL, **variant.config, **changes})


def fill(model, seed):
    """Every parameter from one numpy stream, in name order, so the values do not depend on torch's generator."""
    rng = np.random.default_rng(seed)
    for name, parameter in sorted(model.named_parameters()):
        values = rng.standard_normal(tuple(parameter.shape))
        if name.endswith("norm.weight"):
            values = 1.0 + 0.3 * values
        elif name.endswith(".bias"):
            values = 0.4 * values
        else:
            values = 0.2 * values
        parameter.data = torch.from_numpy(values.astype(np.float32))
    model.tie_weights()


def logits_of(folder, sequences, **config_changes):
    """[sum of T, V] float32; a fresh model per sequence, since dynamic rope remembers the longest one it saw."""
    rows = []
    for ids in sequences:
        config = transformers.AutoConfig.from_pretrained(folder)
        if config_changes:
            stored = {k: v for k, v in config.to_dict().items() if k not in ("transformers_version", "model_type")}
            config = type(config)(**{**stored, **config_changes})
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad():
            rows.append(model(torch.tensor([ids]), use_cache=False).logits[0].numpy())
    return np.concatenate(rows).astype(np.float32)


def to_old_style(config):
    """config.json as transformers wrote it before rope_parameters and dtype."""
    config = dict(config)
    parameters = config.pop("rope_parameters")
    config["rope_theta"] = parameters.pop("rope_theta")
    kind = parameters.pop("rope_type")
    config["rope_scaling"] = None
    if kind != "default":
        key = "rope_type" if kind == "llama3" else "type"
        config["rope_scaling"] = {key: kind, **parameters}
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    config["transformers_version"] = "4.40.0"
    return config


def write_config(folder, variant):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if variant.old_style:
        config = to_old_style(config)
        if variant.name == "qwen2-tied":
            config["sliding_window"], config["max_window_layers"] = 4, 0
    for key in variant.drop:
        config.pop(key, None)
    path.write_text(json.dumps(config, indent=2) + "\n")


def make(variant, index):
    """Writes one folder and returns what versions.json says of it."""
    folder = MODELS / variant.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seed = SEED + index
    config = make_config(variant, attn_implementation="eager")
    model = getattr(transformers, variant.arch + "ForCausalLM")(config).float()
    fill(model, seed)
    model = model.to(getattr(torch, variant.dtype))
    model.config.dtype = variant.dtype
    model.save_pretrained(folder, **({"max_shard_size": variant.shard_size} if variant.shard_size else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    for path in folder.iterdir():
        path.chmod(0o644)

    rng = np.random.default_rng(seed + 1000)
    sequences = [[1] + rng.integers(3, SMALL["vocab_size"], n - 1).tolist() for n in variant.lengths]
    as_written = logits_of(folder, sequences)
    write_config(folder, variant)
    logits = logits_of(folder, sequences)
    if not np.array_equal(as_written, logits):
        raise SystemExit(f"{variant.name}: the rewritten config.json changes the logits")
    with open(folder / "input_ids.jsonl", "w") as out:
        out.writelines(json.dumps({"input_ids": ids}) + "\n" for ids in sequences)
    np.save(folder / "logits.npy", logits)
    check_mutations(folder, variant, sequences, logits)
    return {"why": variant.why, "seed": seed, "dtype": variant.dtype, "lengths": list(variant.lengths),
            "max_abs_logit": float(np.abs(logits).max())}


def check_mutations(folder, variant, sequences, logits):
    for change in variant.mutations:
        moved = float(np.abs(logits_of(folder, sequences, **change) - logits).max() / np.abs(logits).max())
        print(f"    {change}: moves {moved:.3g}")
        if not moved > VISIBLE:
            raise SystemExit(f"{variant.name}: {change} moves the logits by {moved:.3g} only")


def read_ids(folder):
    return [json.loads(line)["input_ids"] for line in (folder / "input_ids.jsonl").read_text().splitlines()]


def check():
    worst = 0.0
    for variant in VARIANTS:
        folder = MODELS / variant.name
        stored = np.load(folder / "logits.npy")
        now = logits_of(folder, read_ids(folder))
        ratio = float(np.abs(now - stored).max() / np.abs(stored).max())
        worst = max(worst, ratio)
        print(f"{variant.name:20} max |difference| / max |logit| = {ratio:.3g}")
    print(f"worst {worst:.3g}")
    return 0 if worst < 1e-5 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="reload and compare only")
    if parser.parse_args().check:
        return check()
    torch.set_num_threads(1)
    models = {}
    for index, variant in enumerate(VARIANTS):
        print(variant.name)
        models[variant.name] = make(variant, index)
    versions = {"made_by": "python tests/golden/generate/make_models.py", "python": sys.version.split()[0],
                "torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__,
                "attention": "eager", "compute": "float32", "models": models}
    (MODELS / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
