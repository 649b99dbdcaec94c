#!/usr/bin/env python3
"""Writes a made-up LLaMA checkpoint in bf16: the real shapes, random weights, no tokenizer.

usage: make_checkpoint.py FOLDER [--layers N] [--hidden N] [--intermediate N] [--vocab N]
The defaults give 1.1 billion parameters in 2.2 GB. Two shards, as large checkpoints have.
"""
import argparse
import json
import pathlib

import numpy as np


def tensor_shapes(args):
    h, f, v = args.hidden, args.intermediate, args.vocab
    kv = args.kv_heads * h // args.heads
    yield "model.embed_tokens.weight", (v, h)
    for i in range(args.layers):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", (h,)
        yield p + "post_attention_layernorm.weight", (h,)
        for name, rows in (("q", h), ("k", kv), ("v", kv), ("o", h)):
            yield p + f"self_attn.{name}_proj.weight", (rows, h)
        yield p + "mlp.gate_proj.weight", (f, h)
        yield p + "mlp.up_proj.weight", (f, h)
        yield p + "mlp.down_proj.weight", (h, f)
    yield "model.norm.weight", (h,)
    yield "lm_head.weight", (v, h)


class Weights:
    """Gaussian bf16 values, cut from one pool at a random place: fast, and incompressible."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        pool = (self.rng.standard_normal(1 << 25, dtype=np.float32) * np.float32(0.02)).view(np.uint32)
        self.pool = ((pool + 0x8000) >> 16).astype(np.uint16)

    def write(self, file, count):
        while count:
            piece = min(count, 1 << 22)
            start = int(self.rng.integers(0, self.pool.size - piece))
            self.pool[start:start + piece].tofile(file)
            count -= piece


def write_shard(path, shapes, weights):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes:
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes:
            if "norm" in name:
                np.full(shape, 0x3F80, np.uint16).tofile(file)  # 1.0
            else:
                weights.write(file, int(np.prod(shape)))
    return offset


def config(args):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": args.hidden,
        "intermediate_size": args.intermediate, "num_hidden_layers": args.layers,
        "num_attention_heads": args.heads, "num_key_value_heads": args.kv_heads,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "vocab_size": args.vocab, "tie_word_embeddings": False, "torch_dtype": "bfloat16"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    for name, default in (("layers", 22), ("hidden", 2048), ("intermediate", 5632), ("vocab", 32000),
                          ("heads", 32), ("kv-heads", 4)):
        parser.add_argument("--" + name, type=int, default=default)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    shapes = list(tensor_shapes(args))
    weights, total, weight_map = Weights(1), 0, {}
    half = (len(shapes) + 1) // 2
    for number, part in enumerate((shapes[:half], shapes[half:]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        total += write_shard(args.folder / file, part, weights)
        weight_map.update({name: file for name, _ in part})
    (args.folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    (args.folder / "config.json").write_text(json.dumps(config(args), indent=2))
    rng = np.random.default_rng(2)
    with open(args.folder / "prompts.jsonl", "w") as file:
        for length in rng.integers(60, 400, 10):
            ids = rng.integers(3, args.vocab, int(length)).tolist()
            file.write(json.dumps({"input_ids": ids}) + "\n")
    print(f"{args.folder}: {total / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
