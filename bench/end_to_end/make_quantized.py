#!/usr/bin/env python3
"""Writes a made-up W4A16 LLaMA checkpoint as msModelSlim leaves it: the real shapes, random codes, no tokenizer.

usage: make_quantized.py FOLDER [--layers N] [--hidden N] [--intermediate N] [--vocab N] [--group N] [--shards N]
The defaults give 2.0 GB in four shards: seven blocks of a 7B model, its embedding and its head. Codes lie one to a byte,
scales and offsets are BF16 like the rest, groups of 128.
"""
import argparse
import json
import pathlib

import make_checkpoint
import numpy as np


class Codes:
    """4-bit codes, one to a byte, cut from one pool at a random place."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.pool = self.rng.integers(-8, 8, 1 << 26, np.int8)

    def write(self, file, count):
        while count:
            piece = min(count, 1 << 24)
            start = int(self.rng.integers(0, self.pool.size - piece))
            self.pool[start:start + piece].tofile(file)
            count -= piece


def quantized_tensors(args):
    """(name, dtype, shape, tag) of every tensor, in the order of the model."""
    for name, shape in make_checkpoint.tensor_shapes(args):
        if "_proj" not in name:
            yield name, "BF16", shape, "FLOAT"
            continue
        scales = (shape[0], shape[1] // args.group)
        yield name, "I8", shape, "W4A16"
        yield name + "_scale", "BF16", scales, "W4A16"
        yield name + "_offset", "BF16", scales, "W4A16"


def size_of(dtype, shape):
    return {"I8": 1, "BF16": 2}[dtype] * int(np.prod(shape))


def divide(tensors, shards):
    """The tensors in runs of about the same number of bytes."""
    total = sum(size_of(dtype, shape) for _, dtype, shape, _ in tensors)
    parts, reached = [[] for _ in range(shards)], 0
    for tensor in tensors:
        parts[min(shards - 1, reached * shards // total)].append(tensor)
        reached += size_of(tensor[1], tensor[2])
    return parts, total


def write_values(file, name, shape, codes, floats):
    count = int(np.prod(shape))
    if name.endswith("_scale"):
        floats.rng.integers(0x3A80, 0x3B80, count, np.uint16).tofile(file)  # 2^-10 to 2^-8, every pattern in between
    elif name.endswith("_offset"):
        np.zeros(count, np.uint16).tofile(file)
    elif "_proj" in name:
        codes.write(file, count)
    elif "norm" in name:
        np.full(count, 0x3F80, np.uint16).tofile(file)  # 1.0
    else:
        floats.write(file, count)


def write_shard(path, part, codes, floats):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    ordered = sorted(part, key=lambda tensor: tensor[1] == "I8")  # wide types first keep all of them aligned
    for name, dtype, shape, _ in ordered:
        size = size_of(dtype, shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, _, shape, _ in ordered:
            write_values(file, name, shape, codes, floats)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    for name, default in (("layers", 7), ("hidden", 4096), ("intermediate", 11008), ("vocab", 32000), ("heads", 32),
                          ("kv-heads", 32), ("group", 128), ("shards", 4)):
        parser.add_argument("--" + name, type=int, default=default)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    tensors = list(quantized_tensors(args))
    parts, total = divide(tensors, args.shards)
    codes, floats, weight_map = Codes(1), make_checkpoint.Weights(2), {}
    for number, part in enumerate(parts, 1):
        file = f"quant_model_weight_w4a16-{number:05d}-of-{args.shards:05d}.safetensors"
        write_shard(args.folder / file, part, codes, floats)
        weight_map.update({name: file for name, *_ in part})
    (args.folder / "quant_model_weight_w4a16.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    (args.folder / "quant_model_description_w4a16.json").write_text(
        json.dumps({"model_quant_type": "W4A16", **{name: tag for name, _, _, tag in tensors}}))
    config = make_checkpoint.config(args)
    config["quantize"] = "w4a16"
    (args.folder / "config.json").write_text(json.dumps(config, indent=2))
    print(f"{args.folder}: {total / 1e9:.2f} GB in {args.shards} shards")


if __name__ == "__main__":
    main()
