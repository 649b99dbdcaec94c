"""Runs in a process of its own (see judge_process): AutoModelForCausalLM.from_pretrained on a folder as it is."""
import torch
import transformers

from support import torch_logits


def logits(folder, sequences, dtype):
    model, loading = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation="eager", output_loading_info=True)
    return {"logits": torch_logits.logits(model.eval(), sequences),
            "strange": {kind: sorted(map(str, names)) for kind, names in loading.items() if names}}


def decompress(parts, group):
    """The weight [O, I] that compressed-tensors makes of the parts of one packed linear."""
    from compressed_tensors.compressors import PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationScheme

    state = {name: torch.from_numpy(array) for name, array in parts.items()}
    return PackedQuantizationCompressor.decompress(state, QuantizationScheme(**group))["weight"].numpy()
