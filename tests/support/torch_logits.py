"""Logits of a loaded torch model. Import only in a process that may hold torch."""
import numpy as np
import torch


def logits(model, sequences):
    """[sum of T, V] float32."""
    with torch.inference_mode():
        rows = [model(torch.tensor([ids]), use_cache=False).logits[0].float().numpy() for ids in sequences]
    return np.concatenate(rows)
