"""Folders that break one thing each: which rule of `pare check` must notice, and what its fix must say.

A fault starts from a folder that Pare wrote, `base`, changes exactly one thing in a copy, and names the rule. Rules that
only an engine asks for name it as `target`.
"""
import dataclasses
import json
import struct
from typing import Callable

import numpy as np

from support import checkpoint

W4G = ("--scheme", "w4a16", "--group-size", "64")
W4A = (*W4G, "--asym")
BASES = {
    "float": None,
    "awq": (*W4G, "--format", "autoawq"),
    "gptq": (*W4G, "--format", "gptq"), "gptq-asym": (*W4A, "--format", "gptq-v2"),
    "ct": (*W4G, "--format", "compressed-tensors"), "ct-asym": (*W4A, "--format", "compressed-tensors"),
    "ct-w8a8": ("--scheme", "w8a8", "--format", "compressed-tensors"),
    "ct-dynamic": ("--scheme", "w8a8-dynamic", "--format", "compressed-tensors"),
    "ascend": ("--scheme", "w8a8"), "ascend-v1": ("--scheme", "w8a8", "--format", "ascend-v1"),
    "ascend-w4": W4G, "v1-w4": (*W4G, "--format", "ascend-v1"), "v1-w8a16": ("--scheme", "w8a16", "--format", "ascend-v1"),
    "npy": ("--scheme", "w8a8", "--format", "npy"),
    "gguf": (*W4G, "--format", "gguf"),
    "shards": (*W4G, "--format", "autoawq", "--part-file-size", "0.001"),
}
CALIBRATED = {"ct-w8a8", "ascend", "ascend-v1", "npy"}
BLOCK = "model.layers.1."
ROUTER = BLOCK + "block_sparse_moe.gate"
Q, K, DOWN = BLOCK + "self_attn.q_proj", BLOCK + "self_attn.k_proj", BLOCK + "mlp.down_proj"


@dataclasses.dataclass(frozen=True)
class Fault:
    rule: str
    base: str
    name: str
    breaks: Callable
    fix: str
    target: str = ""
    verdict: str = "fail"
    options: tuple = ()


class Folder:
    """A folder to be broken."""

    def __init__(self, path):
        self.path = path

    def edit(self, change, file="config.json"):
        path = self.path / file
        document = json.loads(path.read_text())
        change(document)
        self.write(file, json.dumps(document))

    def quantization(self, **values):
        """Sets keys of the quantization_config; None removes one."""
        def change(config):
            for key, value in values.items():
                config["quantization_config"].pop(key, None)
                if value is not None:
                    config["quantization_config"][key] = value
        self.edit(change)

    def both(self, **values):
        """The same in quantize_config.json as well."""
        self.quantization(**values)
        self.edit(lambda own: own.update({key: value for key, value in values.items() if value is not None}), "quantize_config.json")

    def config(self, **values):
        self.edit(lambda config: config.update(values))

    def write(self, file, text):
        path = self.path / file
        if path.exists():
            path.chmod(0o600)
        path.write_text(text)

    def remove(self, *files):
        for file in files:
            (self.path / file).unlink()

    def weights(self):
        return sorted(self.path.glob("*.safetensors"))[0]

    def tensors(self, change):
        path = self.weights()
        tensors = checkpoint.read_file(path)
        change(tensors)
        path.chmod(0o600)
        checkpoint.write_file(path, tensors)

    def tensor(self, name, change):
        """Replaces one tensor by what `change` makes of it."""
        self.tensors(lambda tensors: tensors.update({name: np.ascontiguousarray(change(tensors[name]))}))

    def drop(self, *names):
        self.tensors(lambda tensors: [tensors.pop(name) for name in names])

    def header(self, change):
        """Changes the JSON of the header as it is, whatever comes of it."""
        path = self.weights()
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + length])
        change(header)
        text = json.dumps(header).encode()
        path.chmod(0o600)
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length:])

    def index(self, change):
        self.edit(change, "model.safetensors.index.json")

    def description(self, change):
        (path,) = self.path.glob("quant_model_description*.json")
        self.edit(change, path.name)


GGUF_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
GGUF_TEXT, GGUF_ARRAY = 8, 9


def gguf_value_end(data, at, kind):
    """Where a value that begins at `at` ends."""
    if kind in GGUF_SIZES:
        return at + GGUF_SIZES[kind]
    if kind == GGUF_TEXT:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    element, count = struct.unpack_from("<IQ", data, at)
    at += 12
    for _ in range(count):
        at = gguf_value_end(data, at, element)
    return at


def gguf_values(change):
    """Changes the key-values of a GGUF file: {key: bytes of type and value}. Offsets count from the data, so they stay."""
    def rewrite(folder):
        path = folder.path / "model.gguf"
        data = path.read_bytes()
        tensors, count = struct.unpack_from("<QQ", data, 8)
        at, values = 24, {}
        for _ in range(count):
            end = at + 8 + struct.unpack_from("<Q", data, at)[0]
            key = data[at + 8:end]
            at = gguf_value_end(data, end + 4, *struct.unpack_from("<I", data, end))
            values[key.decode()] = data[end:at]
        begin = at
        for _ in range(tensors):
            at += 8 + struct.unpack_from("<Q", data, at)[0]
            at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 4 + 8
        change(values)
        header = data[:16] + struct.pack("<Q", len(values))
        header += b"".join(struct.pack("<Q", len(key)) + key.encode() + value for key, value in values.items()) + data[begin:at]
        path.chmod(0o600)
        path.write_bytes(header + b"\0" * (-len(header) % 32) + data[at + -at % 32:])
    return rewrite


def gguf_without(key):
    return gguf_values(lambda values: values.pop(key))


def gguf_text(value):
    return struct.pack("<IQ", GGUF_TEXT, len(value)) + value.encode()


def gguf_type(name, old, new):
    """The type of a tensor of one dimension, which stands behind its name, the number of dimensions and the one dimension."""
    def change(folder):
        path = folder.path / "model.gguf"
        data = bytearray(path.read_bytes())
        at = data.index(name.encode()) + len(name) + 4 + 8
        assert struct.unpack_from("<I", data, at) == (old,)
        struct.pack_into("<I", data, at, new)
        path.chmod(0o600)
        path.write_bytes(data)
    return change


def filled(value):
    return lambda array: np.full_like(array, value)


def with_first(value):
    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array
    return change


def truncate(folder):
    path = folder.weights()
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-100])


def overlap(folder):
    def change(header):
        names = [name for name in header if name != "__metadata__"]
        header[names[1]]["data_offsets"] = header[names[0]]["data_offsets"]
    folder.header(change)


def copy_first(folder, name):
    (folder.path / name).write_bytes(folder.weights().read_bytes())


def float_again(*modules):
    """Linears of the folder become float ones of the same shape."""
    def change(tensors):
        for module in modules:
            rows = int(tensors[module + ".scales"].shape[1])
            columns = int(tensors[module + ".qweight"].shape[0]) * (8 if module + ".g_idx" in tensors else 1)
            for part in (".qweight", ".qzeros", ".scales", ".g_idx"):
                tensors.pop(module + part, None)
            tensors[module + ".weight"] = np.ones((rows, columns), dtype=np.float16)
    return lambda folder: folder.tensors(change)


def float_description(*modules):
    def breaks(folder):
        def change(tensors):
            for module in modules:
                tensors[module + ".weight"] = np.ones(tensors[module + ".weight"].shape, dtype=checkpoint.BF16)
                for part in [name for name in tensors if name.startswith(module + ".") and not name.endswith(".weight")]:
                    del tensors[part]
        folder.tensors(change)
        names = set(checkpoint.read_file(folder.weights()))

        def describe(description):
            for module in modules:
                description[module + ".weight"] = "FLOAT"
                for name in [n for n in description if n.startswith(module + ".") and n not in names]:
                    del description[name]
        folder.description(describe)
    return breaks


def swap_groups(array):
    return np.concatenate([array[64:128], array[:64], array[128:]])


def all_of(ending, change):
    def on(tensors):
        for name in list(tensors):
            if name.endswith(ending):
                tensors[name] = np.ascontiguousarray(change(tensors[name]))
    return lambda folder: folder.tensors(on)


def ct_args(part="weights", **values):
    def change(config):
        args = config["quantization_config"]["config_groups"]["group_0"][part]
        for key, value in values.items():
            args.pop(key, None)
            if value is not None:
                args[key] = value
    return lambda folder: folder.edit(change)


def rename(pattern, name):
    def breaks(folder):
        (path,) = folder.path.glob(pattern)
        path.rename(folder.path / name)
    return breaks


def unpacked(folder):
    """The 4-bit codes of one linear, one to a byte."""
    def change(array):
        low, high = (array.astype(np.int8) << 4).astype(np.int8) >> 4, array.astype(np.int8) >> 4
        return np.stack([low, high], axis=1).reshape(-1, array.shape[1]).astype(np.int8)
    folder.tensor(Q + ".weight", change)


def packed(folder):
    folder.tensor(Q + ".weight", lambda a: ((a[0::2] & 15) | (a[1::2] << 4)).astype(np.int8))


def quantized_twice(config):
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}


def word(value):
    return filled(np.array([value], dtype=np.uint32).view(np.int32)[0])


FAULTS = [
    # what the folder is
    Fault("layout-known", "float", "no-weights", lambda f: f.remove("model.safetensors"), "fetch the weight files"),
    Fault("layout-known", "float", "other-method", lambda f: f.config(quantization_config={"quant_method": "bitsandbytes"}), "program that wrote it", verdict="no-rules"),
    Fault("layout-known", "ct-w8a8", "fp8", lambda f: f.tensors(as_fp8), "program that wrote it", verdict="no-rules"),
    Fault("gguf-readable", "gguf", "cut-off", lambda f: (f.path / "model.gguf").write_bytes((f.path / "model.gguf").read_bytes()[:5000]), "fetch it again"),
    Fault("gguf-readable", "gguf", "second-cut-off", lambda f: f.write("other.gguf", "GGUF"), "fetch it again"),
    Fault("gguf-readable", "gguf", "missing-part", rename("*.gguf", "model-00001-of-00003.gguf"), "missing parts"),
    Fault("gguf-keys", "gguf", "no-architecture", gguf_without("general.architecture"), "write the file again"),
    Fault("gguf-keys", "gguf", "no-blocks", gguf_without("llama.block_count"), "with this key"),
    Fault("gguf-keys", "gguf", "no-epsilon", gguf_without("llama.attention.layer_norm_rms_epsilon"), "with this key"),
    Fault("gguf-rotary-base", "gguf", "no-base", gguf_without("llama.rope.freq_base"), "rope_theta", verdict="warn"),
    Fault("gguf-vocabulary", "gguf", "no-model", gguf_without("tokenizer.ggml.model"), "tokenizer beside the model"),
    Fault("gguf-vocabulary", "gguf", "no-tokens", gguf_without("tokenizer.ggml.tokens"), "with its tokens"),
    Fault("gguf-vocabulary", "gguf", "no-merges", gguf_values(lambda v: v.update({"tokenizer.ggml.model": gguf_text("gpt2")})), "merges"),
    Fault("gguf-vocabulary", "gguf", "fewer-tokens", gguf_values(lambda v: v.update({"tokenizer.ggml.tokens": struct.pack("<IIQQ", 9, 8, 1, 1) + b"a"})), "rows of the embedding"),
    Fault("gguf-vocabulary", "gguf", "no-tokenizer", gguf_values(lambda v: v.update({"tokenizer.ggml.model": gguf_text("none")})), "tokenizer's files", verdict="warn"),
    Fault("gguf-pre-tokenizer", "gguf", "default", gguf_values(lambda v: v.update({"tokenizer.ggml.model": gguf_text("gpt2")})), "such as qwen2", verdict="warn"),
    Fault("gguf-tensors", "gguf", "more-blocks", gguf_values(lambda v: v.update({"llama.block_count": struct.pack("<II", 4, 7)})), "incomplete"),
    Fault("gguf-vectors-f32", "gguf", "f16-norm", gguf_type("output_norm.weight", 0, 1), "as F32"),
    Fault("npy-readable", "npy", "no-scales", lambda f: f.remove("deq_scale.npy"), "copy the folder again"),
    Fault("target-reads-layout", "awq", "awq-for-mindie", lambda f: None, "pare convert", target="mindie"),
    # containers
    Fault("weights-readable", "awq", "cut-off", truncate, "fetch it again"),
    Fault("weights-readable", "awq", "overlap", overlap, "fetch it again"),
    Fault("weights-readable", "gptq", "huge-header", lambda f: f.weights().chmod(0o600) or f.weights().write_bytes(b"\xff" * 16), "fetch it again"),
    Fault("weights-metadata", "awq", "no-metadata", lambda f: f.header(lambda h: h.pop("__metadata__")), "before 4.48.2", verdict="warn"),
    Fault("weights-metadata", "awq", "other-format", lambda f: f.header(lambda h: h["__metadata__"].update(format="np")), 'metadata={"format": "pt"}'),
    Fault("tensors-once", "awq", "twice", lambda f: copy_first(f, "extra.safetensors"), "another save"),
    Fault("shards-complete", "shards", "missing-shard", lambda f: f.remove(f.weights().name), "missing shards"),
    Fault("no-stray-weights", "shards", "stray", lambda f: copy_first(f, "pytorch.safetensors"), "not part of this model", verdict="warn"),
    # index
    Fault("index-readable", "shards", "garbage", lambda f: f.write("model.safetensors.index.json", "{\"weight_map\": "), "write it from the files"),
    Fault("index-readable", "shards", "no-metadata", lambda f: f.index(lambda i: i.pop("metadata")), "total_size"),
    Fault("index-readable", "awq", "two-of-other-names", lambda f: [f.write(f"{n}.safetensors.index.json", '{"metadata": {}, "weight_map": {"a": "b"}}')
                                                                   for n in "ab"], "keep the one"),
    Fault("index-files", "awq", "stale-float-index", lambda f: f.write("model.safetensors.index.json", json.dumps(
        {"metadata": {"total_size": 1}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}})), "delete it"),
    Fault("index-tensors", "shards", "wrong-file", lambda f: f.index(lambda i: i["weight_map"].update({"model.norm.nothing": f.weights().name})), "stale"),
    Fault("index-complete", "shards", "left-out", lambda f: f.index(lambda i: i["weight_map"].pop("model.norm.weight")), "from the files"),
    Fault("index-total-size", "shards", "total", lambda f: f.index(lambda i: i["metadata"].update(total_size=7)), "total_size", verdict="warn"),
    # configuration
    Fault("config-readable", "awq", "garbage", lambda f: f.write("config.json", "{]"), "config.json of the float model"),
    Fault("config-readable", "gptq", "absent", lambda f: f.remove("config.json"), "config.json of the float model"),
    Fault("quant-method", "awq", "absent", lambda f: f.quantization(quant_method=None), 'to "awq"'),
    Fault("quant-method", "gptq", "other", lambda f: f.quantization(quant_method="awq"), 'to "gptq"'),
    Fault("quant-method", "ct", "no-config", lambda f: f.edit(lambda c: c.pop("quantization_config")), "add the quantization_config"),
    Fault("float-config", "float", "stale", lambda f: f.config(quantization_config={"quant_method": "gptq", "bits": 4}), "remove the quantization_config"),
    Fault("one-label", "ascend-v1", "both", lambda f: f.edit(quantized_twice), "keep the one"),
    Fault("dtype-agrees", "awq", "bf16", lambda f: f.config(torch_dtype="bfloat16"), "type", verdict="warn"),
    Fault("model-complete", "awq", "no-norm", lambda f: f.drop("model.norm.weight"), "incomplete"),
    Fault("model-complete", "gptq", "other-shape", lambda f: f.config(intermediate_size=1024), "different models"),
    Fault("no-unknown-tensors", "awq", "norm-module", lambda f: f.tensors(lambda t: t.update({"model.norm.module.weight": t["model.norm.weight"]})),
          "neighbours", verdict="warn"),
    # companions
    Fault("tokenizer-files", "awq", "no-tokenizer", lambda f: f.remove("tokenizer.json", "tokenizer.model"), "copy the tokenizer files"),
    Fault("remote-code", "gptq", "no-code", lambda f: f.config(auto_map={"AutoModelForCausalLM": "modeling_demo.Demo"}), "modeling_demo.py"),
    Fault("companions-readable", "awq", "garbage", lambda f: f.write("tokenizer.json", "nothing"), "copy the file"),
    Fault("no-foreign-config", "awq", "quantize-config", lambda f: f.write("quantize_config.json", "{}"), "GPTQModel reads it", verdict="warn"),
    # linears
    Fault("linear-parts", "awq", "no-zeros", lambda f: f.drop(Q + ".qzeros"), "write it again"),
    Fault("linear-parts", "gptq", "wrong-type", lambda f: f.tensor(Q + ".scales", lambda a: a.astype(np.int32)), "write it again"),
    Fault("linear-parts", "ascend", "no-deq-scale", lambda f: f.drop(Q + ".deq_scale"), "write it again"),
    Fault("linear-parts", "ct", "wrong-shape", lambda f: f.tensor(Q + ".weight_shape", filled(3)), "write it again"),
    Fault("scales-finite", "awq", "nan", lambda f: f.tensor(Q + ".scales", with_first(np.nan)), "quantize again"),
    Fault("scales-finite", "ascend", "infinite", lambda f: f.tensor(Q + ".input_scale", filled(np.inf)), "quantize again"),
    Fault("scales-normal", "gptq", "zero", lambda f: f.tensor(Q + ".scales", with_first(0)), "quantize these linears again", verdict="warn"),
    Fault("scales-normal", "awq", "subnormal", lambda f: f.tensor(Q + ".scales", with_first(1e-6)), "F16 holds few", verdict="warn"),
    Fault("fused-alike", "awq", "one-float", float_again(K), "all of them or none"),
    Fault("fused-alike", "ascend-v1", "one-float", float_description(K), "all of them or none"),
    Fault("fused-inputs", "ascend", "other-scale", lambda f: f.tensor(K + ".input_scale", lambda a: a * 2), "identical values"),
    Fault("fused-inputs", "ascend-v1", "other-offset", lambda f: f.tensor(K + ".input_offset", lambda a: a + 1), "identical values"),
    Fault("router-float", "awq", "quantized", lambda f: f.tensors(router), '--disable-names "*.block_sparse_moe.gate"', target="vllm"),
    Fault("router-float", "gptq", "for-vllm", lambda f: f.tensors(router), "without quantization", target="gptqmodel"),
    Fault("router-float", "ct", "advice", lambda f: f.tensors(router), "other engines", target="transformers", verdict="warn"),
    # group sizes
    Fault("group-size", "awq", "other", lambda f: f.quantization(group_size=128), "set group_size to 64"),
    Fault("group-size", "gptq", "absent", lambda f: f.quantization(group_size=None), "set group_size to 64"),
    Fault("group-whole-row", "gptq", "whole-row", lambda f: whole_row(f), "write -1", verdict="warn"),
    # AWQ
    Fault("awq-bits", "awq", "eight", lambda f: f.quantization(bits=8), "set bits to 4"),
    Fault("awq-version", "awq", "gemv", lambda f: f.quantization(version="gemv"), '"version": "gemm"'),
    Fault("awq-version", "awq", "kernel", lambda f: f.quantization(version="exllama"), '"version": "gemm"', verdict="warn"),
    Fault("awq-zero-point", "awq", "false", lambda f: f.quantization(zero_point=False), "set zero_point to true"),
    Fault("awq-scales-f16", "awq", "f32", all_of(".scales", lambda a: a.astype(np.float32)), "as F16", target="autoawq"),
    Fault("awq-dtype", "awq", "bf16", lambda f: f.config(torch_dtype="bfloat16"), "--dtype float16", target="vllm", verdict="warn"),
    Fault("awq-kernel-shapes", "awq", "group-of-16", lambda f: f.tensors(groups_of_16), "groups of 32, 64 or 128", target="autoawq", verdict="warn"),
    Fault("awq-kept-modules", "awq", "not-named", float_again(DOWN), f'add "{DOWN}"', target="transformers"),
    Fault("awq-kept-overlap", "awq", "part-of-name", lambda f: f.quantization(modules_to_not_convert=["mlp.gate"]), "in full", target="vllm"),
    Fault("awq-kept-in-all-blocks", "awq", "one-block", float_again(DOWN), "in every block", target="autoawq"),
    # GPTQ
    Fault("gptq-keys", "gptq", "no-desc-act", lambda f: f.quantization(desc_act=None), "state desc_act"),
    Fault("gptq-keys", "gptq", "no-sym", lambda f: f.quantization(sym=None), "state sym"),
    Fault("gptq-bits", "gptq", "eight", lambda f: f.both(bits=8), "set bits to 4"),
    Fault("gptq-files-agree", "gptq", "differ", lambda f: f.quantization(damp_percent=0.1, static_groups=True, lm_head=None) or
          f.edit(lambda own: own.update(group_size=32), "quantize_config.json"), "same object into both"),
    Fault("gptq-base-name", "gptq", "other", lambda f: f.quantization(model_file_base_name="gptq_model-4bit-128g"), '"model"'),
    Fault("gptq-lm-head", "gptq", "stated", lambda f: f.both(lm_head=True), "set lm_head to false"),
    Fault("gptq-version", "gptq", "words-of-v2", all_of(".qzeros", word(0x88888888)), 'checkpoint_format to "gptq_v2"'),
    Fault("gptq-version", "gptq", "label-of-v2", lambda f: f.both(checkpoint_format="gptq_v2"), 'checkpoint_format to "gptq"'),
    Fault("gptq-sym", "gptq-asym", "stated", lambda f: f.both(sym=True), "set sym to false"),
    Fault("gptq-group-index", "gptq", "act-order", lambda f: f.tensor(DOWN + ".g_idx", swap_groups), "set desc_act to true"),
    Fault("gptq-group-index", "gptq", "outside", lambda f: f.tensor(DOWN + ".g_idx", with_first(1000)), "damaged"),
    Fault("gptq-zero-carry", "gptq", "ones", lambda f: f.tensor(Q + ".qzeros", word(0xFFFFF020)), "carries"),
    Fault("gptq-skipped", "gptq", "not-named", float_again(DOWN), '"dynamic"', target="gptqmodel"),
    Fault("gptq-index-written", "gptq", "no-g-idx", lambda f: f.drop(Q + ".g_idx"), "write g_idx", target="transformers"),
    Fault("gptq-asymmetric", "gptq-asym", "v1", lambda f: f.both(checkpoint_format="gptq"), "--to gptq-v2", target="gptqmodel"),
    Fault("gptq-vllm-symmetric", "gptq-asym", "asym", lambda f: None, "pare convert", target="vllm", verdict="warn"),
    # compressed-tensors
    Fault("ct-format", "ct", "int", lambda f: f.quantization(format="int-quantized"), '"pack-quantized"'),
    Fault("ct-format", "ct-w8a8", "pack", lambda f: f.quantization(format="pack-quantized"), '"int-quantized"'),
    Fault("ct-status", "ct", "absent", lambda f: f.quantization(quantization_status=None), '"compressed"', verdict="warn"),
    Fault("ct-args", "ct", "unknown-key", ct_args(my_key=1), "remove the key"),
    Fault("ct-args", "ct-dynamic", "static-token", ct_args("input_activations", dynamic=False), "set dynamic to true"),
    Fault("ct-args", "ct", "channel-with-size", ct_args(strategy="channel"), "remove group_size"),
    Fault("ct-shapes", "ct", "bits", ct_args(num_bits=8), "set num_bits to 4"),
    Fault("ct-shapes", "ct", "group", ct_args(group_size=128), "group_size to 64"),
    Fault("ct-zero-points", "ct-asym", "said-symmetric", ct_args(symmetric=True), "leave weight_zero_point out"),
    Fault("ct-zero-points", "ct", "said-asymmetric", ct_args(symmetric=False), "write weight_zero_point"),
    Fault("ct-inputs", "ct-w8a8", "no-scale", lambda f: f.drop(Q + ".input_scale"), "calibrate"),
    Fault("ct-inputs", "ct-w8a8", "symmetric", ct_args("input_activations", symmetric=True), "input_zero_point"),
    Fault("ct-ignore", "ct", "head-not-named", lambda f: f.quantization(ignore=[]), 'add "lm_head"'),
    Fault("ct-ignore", "ct", "quantized-named", lambda f: f.quantization(ignore=["lm_head", Q]), "remove it"),
    Fault("ct-vllm-scheme", "ct-dynamic", "no-activations", ct_args("input_activations") and (lambda f: f.edit(no_activations)), "pack", target="vllm"),
    Fault("ct-vllm-ascend-scheme", "ct", "w4a16", lambda f: None, "--to ascend-v1", target="vllm-ascend"),
    # Ascend
    Fault("description-readable", "ascend", "absent", lambda f: f.remove("quant_model_description_w8a8.json"), "fetch it"),
    Fault("description-readable", "ascend-v1", "garbage", lambda f: f.write("quant_model_description.json", "[1, 2"), "fetch the file"),
    Fault("description-names", "ascend", "entry-without-tensor", lambda f: f.description(lambda d: d.update({"model.x.weight": "FLOAT"})), "write the folder again"),
    Fault("description-names", "ascend-v1", "tensor-without-entry", lambda f: f.description(lambda d: d.pop("model.norm.weight")), "write the folder again"),
    Fault("description-types", "ascend", "unknown", lambda f: f.description(lambda d: d.update({"model.norm.weight": "W1A1"})), "program that wrote it", verdict="no-rules"),
    Fault("description-types", "ascend", "number", lambda f: f.description(lambda d: d.update({"model.norm.weight": 7})), "texts"),
    Fault("description-one-type", "ascend", "mixed", lambda f: f.description(lambda d: d.update({Q + ".deq_scale": "W8A16"})), "one type"),
    Fault("description-version", "v1-w4", "absent", lambda f: f.description(lambda d: d.pop("version")), '"1.0.0"'),
    Fault("description-version", "ascend-v1", "absent", lambda f: f.description(lambda d: d.pop("version")), '"1.0.0"', verdict="warn"),
    Fault("description-group-size", "v1-w4", "other", lambda f: f.description(lambda d: d.update(group_size=128)), "to 64"),
    Fault("ascend-file-names", "ascend", "weights", rename("*.safetensors", "quant_model_weight_w8a16.safetensors"), "quant_model_weight_w8a8"),
    Fault("ascend-file-names", "ascend", "description", rename("quant_model_desc*.json", "quant_model_description_w4a16.json"), "quant_model_description_w8a8.json"),
    Fault("mindie-quantize-key", "ascend", "absent", lambda f: f.edit(lambda c: c.pop("quantize")), '"w8a8"', target="mindie"),
    Fault("mindie-group-size", "ascend-w4", "other", lambda f: f.quantization(group_size=128), "to 64", target="mindie"),
    Fault("int4-packing", "ascend-w4", "packed-legacy", packed, "quant_model_description.json"),
    Fault("int4-packing", "v1-w4", "unpacked-v1", unpacked, "pare convert"),
    Fault("vllm-ascend-served", "v1-w4", "w4a16", lambda f: None, "w8a8", target="vllm-ascend"),
    Fault("vllm-ascend-w8a16", "v1-w8a16", "offsets", lambda f: f.tensor(Q + ".weight_offset", filled(3)), "symmetrically", target="vllm-ascend"),
    Fault("vllm-ascend-head", "ascend-v1", "no-embedding", lambda f: f.description(lambda d: d.pop("model.embed_tokens.weight")), '"FLOAT"', target="vllm-ascend"),
    Fault("deq-scale-type", "ascend", "bf16-config", lambda f: f.config(torch_dtype="float16"), "I64"),
    Fault("deq-scale-bits", "ascend", "converted", lambda f: deq_converted(f), "bits of the F32 value"),
    Fault("input-offset", "ascend", "large", all_of(".input_offset", filled(200)), "-128..127"),
    Fault("weight-offset", "v1-w8a16", "fraction", lambda f: f.tensor(Q + ".weight_offset", filled(0.6)), "whole zero points"),
    # shapes
    Fault("tensor-parallel", "awq", "eight-devices", lambda f: None, "tensor parallel sizes that work", options=("--tp", "8")),
    Fault("marlin-shapes", "awq", "tp-2-down", lambda f: f.tensors(groups_of_16), "slower kernels", target="vllm", verdict="warn"),
    Fault("exllama-shapes", "gptq", "narrow", lambda f: f.tensors(narrow), "multiples of 32", target="gptqmodel", verdict="warn"),
]


def router(tensors):
    """A small linear becomes the router of experts, of which there is one tensor."""
    for name in [name for name in tensors if name.startswith(K + ".")]:
        tensors[ROUTER + name[len(K):]] = tensors[name]


def as_fp8(tensors):
    """Scales, and weights in a type that is neither int8 nor a float that weights have."""
    for name in list(tensors):
        if tensors[name].dtype == np.int8 and name.endswith(".weight"):
            tensors[name] = tensors[name].view(np.uint8)


def groups_of_16(tensors):
    for part in (".qzeros", ".scales"):
        tensors[Q + part] = np.repeat(tensors[Q + part], 4, axis=0)


def narrow(tensors):
    """A linear of 8 outputs."""
    for part in (".qweight", ".scales"):
        tensors[Q + part] = np.ascontiguousarray(tensors[Q + part][:, :8])
    tensors[Q + ".qzeros"] = np.ascontiguousarray(tensors[Q + ".qzeros"][:, :1])


def no_activations(config):
    config["quantization_config"]["config_groups"]["group_0"]["input_activations"] = None


def whole_row(folder):
    """Every linear gets one scale per row, and the size of most rows is stated."""
    sizes = set()

    def change(tensors):
        for name in list(tensors):
            if name.endswith((".qzeros", ".scales")):
                tensors[name] = tensors[name][:1].copy()
            if name.endswith(".g_idx"):
                sizes.add(len(tensors[name]))
                tensors[name] = np.zeros_like(tensors[name])
    folder.tensors(change)
    folder.both(group_size=min(sizes))


def deq_converted(folder):
    """What a numeric conversion makes of deq_scale: 0, or 1."""
    folder.config(torch_dtype="float16")
    all_of(".deq_scale", lambda array: array.astype(np.int64))(folder)
