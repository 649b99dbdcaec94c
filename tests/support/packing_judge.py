"""Runs in a process of its own (see judge_process): the packing code of AutoAWQ and AutoGPTQ, on a CPU and with codes that are given.

Only that: AutoAWQ's quantizer is wrong without a GPU, and neither runs a model with the transformers of today.
"""
import importlib.util
import sys
import types

import torch


def _linear(weight):
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data = torch.from_numpy(weight).to(torch.float32)
    return linear


def awq(weight, scales, zeros, group_size):
    """weight [O, I] f32, scales and zeros [O, G]; the words as numpy."""
    from awq.modules.linear.gemm import WQLinear_GEMM

    packed = WQLinear_GEMM.from_linear(_linear(weight), 4, group_size, False, torch.from_numpy(scales.T.copy()), torch.from_numpy(zeros.T.copy()))
    return {part: getattr(packed, part).cpu().numpy() for part in ("qweight", "qzeros", "scales")}


def gptq(weight, scales, zeros, group_size, bits):
    """The same; g_idx is by position."""
    if "auto_gptq" not in sys.modules:  # its __init__ imports models, which need an old transformers
        package = types.ModuleType("auto_gptq")
        package.__path__ = list(importlib.util.find_spec("auto_gptq").submodule_search_locations)
        sys.modules["auto_gptq"] = package
    from auto_gptq.nn_modules.qlinear.qlinear_cuda_old import QuantLinear

    packed = QuantLinear(bits, group_size, weight.shape[1], weight.shape[0], False, weight_dtype=torch.float32)
    packed.pack(_linear(weight), torch.from_numpy(scales), torch.from_numpy(zeros), None)
    return {part: getattr(packed, part).cpu().numpy() for part in ("qweight", "qzeros", "scales")}
