"""Hugging Face transformers as the judge of logits and perplexity. Import only in tests marked live."""
import json
import math

import numpy as np
import torch
import transformers


def load(folder, dtype=torch.float32):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    return model.eval()


def logits(folder, sequences):
    """[sum of T, V] float32. A fresh model for each sequence: dynamic rope remembers the longest one it saw."""
    rows = []
    for ids in sequences:
        with torch.no_grad():
            rows.append(load(folder)(torch.tensor([ids]), use_cache=False).logits[0].float().numpy())
    return np.concatenate(rows)


def token_losses(model, window):
    """Cross-entropy of tokens 1..T-1 given those before, float64 [T-1]."""
    with torch.no_grad():
        output = model(torch.tensor([window]), use_cache=False).logits[0, :-1].double()
    return torch.nn.functional.cross_entropy(output, torch.tensor(window[1:]), reduction="none").numpy()


def windows_of(ids, context):
    return [ids[k * context:(k + 1) * context] for k in range(len(ids) // context)]


def gptq_perplexity(model, ids, context):
    """Windows one after the other, the tail dropped, every target of a window counted: exp of the mean of window means."""
    means = [token_losses(model, window).mean() for window in windows_of(ids, context)]
    return math.exp(float(np.mean(means))), len(means)


def llamacpp_perplexity(model, ids, context, bos):
    """The first token of each window becomes BOS; only targets after the first half count."""
    windows = windows_of(ids, context)
    losses = [token_losses(model, [bos] + window[1:])[context // 2:] for window in windows]
    return math.exp(float(np.concatenate(losses).mean())), len(windows)


def bos_of(folder):
    return json.loads((folder / "config.json").read_text())["bos_token_id"]
