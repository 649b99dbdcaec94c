"""Gives a model outliers without changing what it computes: as large language models have them, in a few channels of norms."""
import numpy as np

from support import checkpoint

READERS = {"input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
           "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj")}


def outlier_channels(width, count, seed):
    return np.random.default_rng(seed).choice(width, size=count, replace=False)


def write_with_outliers(folder, source, factor, channels=2, seed=1, dtype="bfloat16"):
    """A copy of the float model `source` in which `channels` channels of every block's norms are `factor` times as large,
    and the columns of the linears behind them as much smaller. A power of two changes no bit of the logits. -> folder"""
    assert factor == 2 ** round(np.log2(factor)), "any other factor rounds the weights"
    tensors = checkpoint.read_folder(source)
    blocks = sorted({name.rsplit(".input_layernorm", 1)[0] for name in tensors if ".input_layernorm." in name})
    for index, block in enumerate(blocks):
        for norm, linears in READERS.items():
            name = f"{block}.{norm}.weight"
            chosen = outlier_channels(tensors[name].shape[0], channels, (seed, index, len(linears)))
            scale = np.ones(tensors[name].shape, np.float32)
            scale[chosen] = factor
            tensors[name] = tensors[name].astype(np.float32) * scale
            for linear in linears:
                weight = f"{block}.{linear}.weight"
                tensors[weight] = tensors[weight].astype(np.float32) / scale
    return checkpoint.write_float_folder(folder, source, tensors, dtype)
