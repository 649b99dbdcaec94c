"""Runs in a process of its own (see judge_process): gptqmodel loads a folder, computes, quantizes and saves."""
import torch
import torch._dynamo

torch._dynamo.config.disable = True  # its kernel would compile C++ for minutes

import gptqmodel  # noqa: E402  (after the line above)
from gptqmodel.nn_modules.qlinear import BaseQuantLinear  # noqa: E402
from gptqmodel.nn_modules.qlinear.torch import TorchLinear  # noqa: E402
from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear  # noqa: E402
from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm  # noqa: E402

from support import torch_logits  # noqa: E402

KERNELS = {"gptq": (gptqmodel.BACKEND.GPTQ_TORCH, TorchLinear), "awq": (gptqmodel.BACKEND.AWQ_TORCH, AwqTorchLinear)}


def logits(folder, sequences, method):
    """As the library runs the folder, in float16; and from the weights it decodes, multiplied in float32."""
    backend, kernel = KERNELS[method]
    model = gptqmodel.GPTQModel.load(str(folder), backend=backend, device="cpu", dtype=torch.float16,
                                     attn_implementation="eager").model.eval()
    quantized = [module for module in model.modules() if isinstance(module, BaseQuantLinear)]
    assert quantized and all(type(module) is kernel for module in quantized), {type(module) for module in quantized}
    as_it_runs = torch_logits.logits(model, sequences)
    dtype = str(next(model.parameters()).dtype)
    return {"dtype": dtype, "modules": len(quantized), "as it runs": as_it_runs,
            "float32": torch_logits.logits(in_float32(model), sequences)}


def in_float32(model):
    """The same model with plain linears that hold what the library's own code makes of the stored words."""
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseQuantLinear):
            weight = decoded(module)
            linear = torch.nn.Linear(module.in_features, module.out_features, bias=module.bias is not None)
            linear.weight.data = weight.T.contiguous()
            if module.bias is not None:
                linear.bias.data = module.bias.float()
            model.set_submodule(name, linear)
    return model.float().eval()


def decoded(module):
    """[in, out] float32: the scales are float16 numbers, their products with codes need not be."""
    module.scales = module.scales.float()
    if isinstance(module, AwqTorchLinear):
        return dequantize_gemm(module.qweight, module.qzeros, module.scales, module.bits, module.group_size)
    return module.dequantize_weight()


def quantize(source, out, method, windows, **options):
    """The library's own quantization of a float folder, calibrated with windows of token ids; saved to `out`."""
    config = {"gptq": gptqmodel.GPTQConfig, "awq": gptqmodel.AWQConfig}[method](**options)
    model = gptqmodel.GPTQModel.load(str(source), config, device="cpu", dtype=torch.float16)
    model.quantize([{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in windows], batch_size=1)
    model.save(str(out))
