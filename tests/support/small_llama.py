"""A LLaMA of two blocks with random weights, for tests that change its configuration, its class or its names."""
import json

import numpy as np

from . import checkpoint

HIDDEN, INNER, HEADS, KV_HEADS, VOCABULARY, BLOCKS = 128, 192, 4, 2, 512, 2
LINEARS = 7 * BLOCKS  # of the blocks


def tensors(seed=3, tied=False, bias=False, prefix="model.", head="lm_head", head_rows=VOCABULARY):
    """{name: f32 array} in the shapes of `config`; the head is left out of a tied model or when `head` is empty."""
    rng = np.random.default_rng(seed)

    def weight(rows, columns):
        return (rng.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    made = {f"{prefix}embed_tokens.weight": weight(VOCABULARY, HIDDEN), f"{prefix}norm.weight": np.ones(HIDDEN, np.float32)}
    if head and not tied:
        made[f"{head}.weight"] = weight(head_rows, HIDDEN)
    kv = HIDDEN // HEADS * KV_HEADS
    shapes = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (kv, HIDDEN), "self_attn.v_proj": (kv, HIDDEN),
              "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN),
              "mlp.down_proj": (HIDDEN, INNER)}
    for block in range(BLOCKS):
        for name, shape in shapes.items():
            made[f"{prefix}layers.{block}.{name}.weight"] = weight(*shape)
            if bias and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                made[f"{prefix}layers.{block}.{name}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
        for name in ("input_layernorm", "post_attention_layernorm"):
            made[f"{prefix}layers.{block}.{name}.weight"] = np.ones(HIDDEN, np.float32)
    return made


def config(**changes):
    """config.json for `tensors`; a change to None leaves the key out."""
    made = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=HIDDEN, intermediate_size=INNER,
                num_hidden_layers=BLOCKS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, vocab_size=VOCABULARY,
                rms_norm_eps=1e-6, rope_theta=10000.0, max_position_embeddings=512, hidden_act="silu", tie_word_embeddings=False,
                torch_dtype="float32", bos_token_id=1, eos_token_id=2)
    made.update(changes)
    return {key: value for key, value in made.items() if value is not None}


def write(folder, weights=None, **changes):
    """-> the folder, made with config.json and model.safetensors."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config(**changes), indent=2))
    checkpoint.write_file(folder / "model.safetensors", tensors() if weights is None else weights)
    return folder


def write_ids(path, samples=4, length=40, seed=5):
    """Token ids, one sample to a line. -> path"""
    rng = np.random.default_rng(seed)
    lines = [json.dumps({"input_ids": [1, *rng.integers(3, VOCABULARY - 10, length).tolist()]}) for _ in range(samples)]
    path.write_text("\n".join(lines) + "\n")
    return path
