"""Small folders in formats that other programs write, each with the tensors and settings by which it is known.

The numbers mean nothing; names, types, shapes and the configuration are those of the format.
"""
import json
import struct

import numpy as np

HIDDEN, INTER, VOCAB = 256, 512, 64
LINEARS = {f"model.layers.{block}.{name}": shape for block in range(2) for name, shape in {
    "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (HIDDEN, HIDDEN), "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INTER, HIDDEN), "mlp.up_proj": (INTER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTER)}.items()}
BITS = {"F4": 4, "F12_E5M6": 12, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E8M0": 8, "BOOL": 8, "I16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
        "F32": 32, "I64": 64}


def save(path, tensors, metadata="pt"):
    """{name: (type, shape) or (type, shape, bytes)}: what is not given is a pattern that is 1 as F16 or BF16 or F32 where it counts."""
    header, data = {"__metadata__": {"format": metadata}}, b""
    for name, (dtype, shape, *given) in tensors.items():
        size = int(np.prod(shape)) * BITS[dtype] // 8
        one = {"F16": b"\x00\x3c", "BF16": b"\x80\x3f", "F32": b"\x00\x00\x80\x3f"}.get(dtype, b"\x37")
        blob = given[0] if given else one * (size // len(one))
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + size]}
        data += blob
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def floats(dtype="BF16"):
    tensors = {"model.embed_tokens.weight": (dtype, (VOCAB, HIDDEN)), "model.norm.weight": (dtype, (HIDDEN,)),
               "lm_head.weight": (dtype, (VOCAB, HIDDEN))}
    for block in range(2):
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{block}.{name}.weight"] = (dtype, (HIDDEN,))
    return tensors


def config(**keys):
    base = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INTER,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": VOCAB, "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0, "max_position_embeddings": 512, "hidden_act": "silu", "tie_word_embeddings": False,
            "torch_dtype": "bfloat16"}
    return {**base, **keys}


def write(folder, parts=None, quantization=None, metadata="pt", floats_in="BF16", files=(), **keys):
    """A model whose linears consist of `parts(name, outputs, inputs)` -> {tensor: (type, shape, …)}."""
    folder.mkdir(parents=True)
    tensors = floats(floats_in)
    for name, shape in LINEARS.items():
        tensors.update(parts(name, *shape) if parts else {name + ".weight": (floats_in, shape)})
    save(folder / "model.safetensors", tensors, metadata)
    if quantization is not None:
        keys["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps(config(**keys)))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text("{}")
    for name, document in dict(files).items():
        (folder / name).write_text(json.dumps(document))
    return folder


def gptq_words(name, out, columns, bits=4, group=128):
    order = (np.arange(columns) // group).astype(np.int32).tobytes()
    return {name + ".qweight": ("I32", (columns * bits // 32, out)), name + ".qzeros": ("I32", (columns // group, out * bits // 32)),
            name + ".scales": ("F16", (columns // group, out)), name + ".g_idx": ("I32", (columns,), order)}


def gptq_config(**keys):
    return {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": False, "lm_head": False, **keys}


def nvfp4_parts(name, out, columns):
    return {name + ".weight_packed": ("U8", (out, columns // 2)), name + ".weight_scale": ("F8_E4M3", (out, columns // 16)),
            name + ".weight_global_scale": ("F32", (1,)), name + ".input_global_scale": ("F32", (1,))}


def ct_words(name, out, columns, group=64):
    return {name + ".weight_packed": ("I32", (out, columns // 8)), name + ".weight_scale": ("BF16", (out, columns // group)),
            name + ".weight_shape": ("I64", (2,), np.array([out, columns], np.int64).tobytes())}


def ct_fp8(name, out, columns):
    return {name + ".weight": ("F8_E4M3", (out, columns)), name + ".weight_scale": ("BF16", (out, 1))}


WORDS_OF_4 = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 64, "dynamic": False}
FLOATS_OF_8 = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "channel", "dynamic": False}
FLOATS_OF_4 = {"num_bits": 4, "type": "float", "symmetric": True, "strategy": "tensor_group", "group_size": 16, "dynamic": False}


def ct_group(weights, targets=("Linear",), inputs=None, **keys):
    return {"targets": list(targets), "weights": weights, "input_activations": inputs, "output_activations": None, **keys}


def ct_config(form, *groups, **keys):
    return {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "ignore": ["lm_head"],
            "config_groups": {f"group_{i}": group for i, group in enumerate(groups)}, **keys}


FP8_INPUTS = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "token", "dynamic": True}


def bnb_4bit(name, out, columns):
    return {name + ".weight": ("U8", (out * columns // 2, 1)), name + ".weight.absmax": ("U8", (out * columns // 64,)),
            name + ".weight.quant_map": ("F32", (16,)), name + ".weight.quant_state.bitsandbytes__nf4": ("U8", (64,))}


def other_formats():
    """{name: (what `check` must say that it is, builder of a folder)}: weights that Pare has no rules for."""
    def one(says, parts=None, quantization=None, **keys):
        return says, lambda folder: write(folder, parts, quantization, **keys)

    def weight(dtype, **others):
        return lambda name, out, columns: {name + ".weight": (dtype, (out, columns)),
                                           **{name + "." + suffix.replace("__", "."): (kind, shape(out, columns))
                                              for suffix, (kind, shape) in others.items()}}

    blocks = lambda out, columns: (-(-out // 128), -(-columns // 128))
    rows, row, scalar = (lambda out, columns: (out, 1)), (lambda out, columns: (out,)), (lambda out, columns: (1,))
    fp8 = weight("F8_E4M3", weight_scale_inv=("F32", blocks))
    mlx = lambda name, out, columns: {name + ".weight": ("U32", (out, columns // 8)), name + ".scales": ("BF16", (out, columns // 64)),
                                      name + ".biases": ("BF16", (out, columns // 64))}
    exl2 = lambda name, out, columns: {name + ".q_weight": ("I32", (columns // 8, out)), name + ".q_scale": ("I32", (2, out // 8)),
                                       name + ".q_groups": ("I16", (4,)), name + ".q_invperm": ("I16", (columns,))}
    hqq = lambda name, out, columns: {name + ".W_q": ("U8", (out // 2, columns)), name + ".scale": ("F16", (out, columns // 64)),
                                      name + ".zero": ("F16", (out, columns // 64))}
    gemv = lambda name, out, columns: {name + ".qweight": ("I32", (out, columns // 8)), name + ".qzeros": ("I32", (out, 1)),
                                       name + ".scales": ("F16", (out, 8))}
    marlin = lambda name, out, columns: {name + ".B": ("I32", (columns // 16, out * 2)), name + ".s": ("F16", (columns // 128, out))}
    modelopt = lambda name, out, columns: {name + ".weight": ("U8", (out, columns // 2)), name + ".weight_scale": ("F8_E4M3", (out, columns // 16)),
                                           name + ".weight_scale_2": ("F32", ()), name + ".input_scale": ("F32", ())}
    mxfp4 = lambda name, out, columns: {name + "_blocks": ("U8", (out, columns // 32, 16)), name + "_scales": ("U8", (out, columns // 32))}
    return {
        "nvfp4": one("nvfp4-pack-quantized", nvfp4_parts, ct_config("nvfp4-pack-quantized", ct_group(FLOATS_OF_4))),
        "ct-fp8": one("float-quantized", ct_fp8, ct_config("float-quantized", ct_group(FLOATS_OF_8, inputs=FP8_INPUTS))),
        "ct-mixed-without-rules": one("nvfp4-pack-quantized", nvfp4_parts, ct_config(
            "mixed-precision", ct_group(FLOATS_OF_4, format="nvfp4-pack-quantized"))),
        "ct-marlin-24": one("marlin-24", lambda n, o, i: {n + ".weight_packed": ("I32", (i // 32, o * 2)), n + ".meta": ("I16", (i, o // 16)),
                                                           n + ".scale_packed": ("F16", (i // 128, o))},
                            ct_config("marlin-24", ct_group(WORDS_OF_4))),
        "nvfp4-unlabelled": one("NVFP4", nvfp4_parts),
        "modelopt-nvfp4": one("NVFP4", modelopt, files={"hf_quant_config.json": {"producer": {"name": "modelopt"},
                                                                               "quantization": {"quant_algo": "NVFP4", "group_size": 16}}}),
        "modelopt-stated": one("modelopt", modelopt, {"quant_method": "modelopt", "quant_algo": "FP8"}),
        "fp8-blocks": one("fp8", fp8, {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}),
        "fp8-unlabelled": one("FP8", fp8),
        "f8-weights": one("F8_E4M3", weight("F8_E4M3")),
        "f4-weights": one("weights of type F4", weight("F4", scale=("F8_E8M0", rows))),
        "a-type-of-tomorrow": one("weights of type F12_E5M6", weight("F12_E5M6")),
        "fbgemm-fp8": one("fbgemm_fp8", weight("F8_E4M3", weight_scale=("F32", rows), input_scale_ub=("F32", scalar)), {"quant_method": "fbgemm_fp8"}),
        "auto-round-gptq": one("auto-round", gptq_words, {"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True,
                                                          "packing_format": "auto_round:auto_gptq"}),
        "auto-round-intel": one("auto-round", gptq_words, {"quant_method": "intel/auto-round", "bits": 4, "group_size": 128, "backend": "auto_round:gptq:exllamav2"}),
        "mlx": ("MLX", lambda folder: write_mlx(folder, mlx)),
        "bitsandbytes-4bit": one("bitsandbytes", bnb_4bit, {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}),
        "bitsandbytes-8bit": one("bitsandbytes", weight("I8", SCB=("F32", row)), {"quant_method": "bitsandbytes", "load_in_8bit": True}),
        "bitsandbytes-8bit-unlabelled": one("bitsandbytes", weight("I8", SCB=("F32", row))),
        "bitsandbytes-4bit-unlabelled": one("bitsandbytes", bnb_4bit),
        "hqq": one("hqq", hqq, {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}}),
        "hqq-unlabelled": one("HQQ", hqq),
        "exl2": one("exl2", exl2, {"quant_method": "exl2", "bits": 4.0, "head_bits": 6}),
        "exl2-unlabelled": one("ExLlamaV2", exl2),
        "torchao": one("torchao", weight("I8", weight_scale=("F32", row)), {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig"}}}),
        "quark": one("quark", weight("I8", weight_scale=("F32", row)), {"quant_method": "quark", "global_quant_config": {}}),
        "mxfp4": one("mxfp4", mxfp4, {"quant_method": "mxfp4"}),
        "mxfp4-unlabelled": one("MXFP4", mxfp4),
        "awq-gemv": one("gemv", gemv, {"quant_method": "awq", "version": "gemv", "bits": 4, "group_size": 128, "zero_point": True}),
        "gptq-marlin": one("marlin", marlin, gptq_config(checkpoint_format="marlin", sym=True)),
        "unknown-method": one("some_new_method", gptq_words, {"quant_method": "some_new_method", "bits": 3}),
        "quanto": one("quanto", lambda n, o, i: {n + ".weight._data": ("I8", (o, i)), n + ".weight._scale": ("BF16", (o, 1))}),
    }


def write_mlx(folder, parts):
    write(folder, parts, metadata="mlx", quantization={"group_size": 64, "bits": 4})
    path = folder / "config.json"
    document = json.loads(path.read_text())
    document["quantization"] = document["quantization_config"]
    path.write_text(json.dumps(document))
    return folder
