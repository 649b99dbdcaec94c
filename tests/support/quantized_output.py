"""One output folder of `pare quantize`, read without any code of the product."""
import dataclasses
import functools
import json
import pathlib

import numpy as np

from support import arithmetic, checkpoint

LINEAR_PARTS = ("weight_scale", "weight_offset", "input_scale", "input_offset", "quant_bias", "deq_scale")
GLOBAL_KEYS = {"model_quant_type", "version", "group_size", "kv_cache_type", "kv_quant_type", "fa_quant_type",
               "reduce_quant_type", "metadata", "optional"}


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to quantize, and what the files of it must say."""
    name: str
    options: tuple
    type: str
    bits: int = 8
    symmetric: bool = True
    group: int = 0
    per_tensor: bool = False
    static: bool = False

    def __str__(self):
        return self.name

    def columns(self, width):
        return width // self.group if self.group else 1

    def scale_shape(self, rows, width):
        return (1,) if self.per_tensor else (rows, self.columns(width))

    @property
    def lowest(self):
        """Symmetric rows and tensors leave out the most negative code; groups use the whole range."""
        top = 2 ** (self.bits - 1) - 1
        return -top if self.symmetric and not self.group else -top - 1

    @property
    def parts(self):
        return LINEAR_PARTS if self.static else LINEAR_PARTS[:2]


CASES = [
    Case("w8a8-minmax", ("--scheme", "w8a8", "--act-method", "1"), "W8A8", static=True),
    Case("w8a8-histogram", ("--scheme", "w8a8", "--act-method", "2"), "W8A8", static=True),
    Case("w8a8-auto", ("--scheme", "w8a8", "--act-method", "3"), "W8A8", static=True),
    Case("w8a8-tensor", ("--scheme", "w8a8", "--mm-tensor"), "W8A8", per_tensor=True, static=True),
    Case("w8a8-dynamic", ("--scheme", "w8a8-dynamic"), "W8A8_DYNAMIC"),
    Case("w8a16", ("--scheme", "w8a16"), "W8A16"),
    Case("w8a16-asym", ("--scheme", "w8a16", "--asym"), "W8A16", symmetric=False),
    Case("w8a16-tensor", ("--scheme", "w8a16", "--mm-tensor"), "W8A16", per_tensor=True),
    Case("w8a16-g128", ("--scheme", "w8a16", "--group-size", "128"), "W8A16", group=128),
    Case("w4a16", ("--scheme", "w4a16"), "W4A16", bits=4),
    Case("w4a16-asym", ("--scheme", "w4a16", "--asym"), "W4A16", bits=4, symmetric=False),
    Case("w4a16-g64", ("--scheme", "w4a16", "--group-size", "64"), "W4A16", bits=4, group=64),
    Case("w4a16-g64-asym", ("--scheme", "w4a16", "--group-size", "64", "--asym"), "W4A16", bits=4, group=64, symmetric=False),
]


def case(name):
    return next(c for c in CASES if c.name == name)


class SafetensorsOutput:
    """--format ascend or ascend-v1."""

    def __init__(self, folder, case, layout):
        self.folder, self.case, self.layout = pathlib.Path(folder), case, layout
        self.weights_prefix = f"quant_model_weight_{case.type.lower()}"
        self.weights_name = self.weights_prefix + ".safetensors"
        self.description_name = ("quant_model_description.json" if layout == "ascend-v1"
                                 else f"quant_model_description_{case.type.lower()}.json")

    @functools.cached_property
    def description(self):
        return json.loads((self.folder / self.description_name).read_text(encoding="utf-8"))

    @functools.cached_property
    def tags(self):
        return {name: tag for name, tag in self.description.items() if name not in GLOBAL_KEYS}

    @functools.cached_property
    def tensors(self):
        return checkpoint.read_folder(self.folder)

    def quantized_modules(self):
        return [name[:-len(".weight")] for name, tag in self.tags.items() if name.endswith(".weight") and tag != "FLOAT"]

    def packing_axis(self):
        """Axis along which two 4-bit codes share a byte, or None: pairs of inputs per channel, pairs of outputs per group."""
        if self.layout != "ascend-v1" or self.case.type != "W4A16":
            return None
        return 0 if self.case.group else 1

    def codes(self, module):
        stored, axis = self.tensors[module + ".weight"], self.packing_axis()
        assert stored.dtype == np.int8
        return stored if axis is None else arithmetic.unpack_int4(stored, axis)

    def part(self, module, name):
        return self.tensors[f"{module}.{name}"]


class NpyOutput:
    """--format npy: one pickled dict per kind of tensor."""

    FILES = {"weight_scale": "weight_scale", "weight_offset": "weight_offset", "input_scale": "input_scale",
             "input_offset": "input_offset", "quant_bias": "quant_bias", "deq_scale": "deq_scale"}

    def __init__(self, folder, case):
        self.folder, self.case = pathlib.Path(folder), case

    def expected_files(self):
        return {"quant_weight.npy", "anti_fp_norm.npy"} | {f"{part}.npy" for part in self.case.parts}

    @functools.lru_cache(maxsize=None)
    def file(self, name):
        loaded = np.load(self.folder / f"{name}.npy", allow_pickle=True)
        assert loaded.shape == () and loaded.dtype == object
        entries = loaded.item()
        assert isinstance(entries, dict) and all(isinstance(key, str) for key in entries)
        return entries

    def quantized_modules(self):
        return list(self.file("weight_scale"))

    def codes(self, module):
        return np.asarray(self.file("quant_weight")[module])

    def part(self, module, name):
        return np.asarray(self.file(name)[module])


def rebuild_float(output, source_tensors):
    """Float32 weights that the files of a weight-only output stand for, under the source's names."""
    rebuilt = {name: array.astype(np.float32) for name, array in source_tensors.items()}
    for module in output.quantized_modules():
        rebuilt[module + ".weight"] = arithmetic.dequantize(
            output.codes(module), output.part(module, "weight_scale").astype(np.float32),
            output.part(module, "weight_offset").astype(np.float32))
    return rebuilt
