"""Folders of a few kilobytes, made by hand: any element type, any text in config.json, a tokenizer of single letters."""
import json
import struct

import numpy as np

HIDDEN, INNER, HEADS, VOCAB = 64, 96, 2, 96
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 499723\n"


def raw(dtype, shape, data):
    """A tensor of a type that numpy does not have: its name, its shape, its bytes."""
    return dtype, list(shape), bytes(data)


def safetensors(tensors):
    """The bytes of a file; a value is a float32 array or what `raw` made."""
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, value in tensors.items():
        dtype, shape, data = value if isinstance(value, tuple) else ("F32", list(value.shape), value.astype("<f4").tobytes())
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
        blobs.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)


def weights(layers=2, seed=5):
    """The tensors of a LLaMA with a head of its own."""
    random = np.random.default_rng(seed)

    def matrix(rows, columns):
        return random.normal(0, columns ** -0.5, (rows, columns)).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(VOCAB, HIDDEN), "model.norm.weight": np.ones(HIDDEN, np.float32),
               "lm_head.weight": matrix(VOCAB, HIDDEN)}
    for layer in range(layers):
        block = f"model.layers.{layer}."
        for part in "qkvo":
            tensors[f"{block}self_attn.{part}_proj.weight"] = matrix(HIDDEN, HIDDEN)
        for part, rows, columns in (("gate", INNER, HIDDEN), ("up", INNER, HIDDEN), ("down", HIDDEN, INNER)):
            tensors[f"{block}mlp.{part}_proj.weight"] = matrix(rows, columns)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{block}{norm}.weight"] = np.ones(HIDDEN, np.float32)
    return tensors


def config(**changes):
    plain = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER,
             "num_hidden_layers": 2, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": VOCAB,
             "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 128, "hidden_act": "silu",
             "tie_word_embeddings": False, "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2}
    return {**plain, **changes}


def write_tokenizer(folder, **model_keys):
    """Byte-level BPE without merges: a letter is a token."""
    letters = [chr(code) for code in range(33, 127)] + ["\u0120", "\u010a"]
    model = {"type": "BPE", "vocab": {letter: number for number, letter in enumerate(letters)}, "merges": [], **model_keys}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    whole = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
             "decoder": byte_level, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    (folder / "tokenizer_config.json").write_text("{}")


def write_model(folder, tensors=None, text=None, tokenizer=True, **changes):
    """-> the folder, with config.json (`text`, or the usual one with changes) and one weight file."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text if text is not None else json.dumps(config(**changes), indent=2) + "\n")
    (folder / "model.safetensors").write_bytes(safetensors(weights() if tensors is None else tensors))
    if tokenizer:
        write_tokenizer(folder)
    return folder


def contents(folder):
    """{relative name: bytes} of every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
