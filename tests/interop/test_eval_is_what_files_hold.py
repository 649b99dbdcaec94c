"""`pare eval` measures what the files hold, and by the protocol it names.

The default tests rebuild a float checkpoint from the written files with numpy. The live ones rebuild the quantized model in
torch, activations fake-quantized as the files say, and compute both perplexity protocols with transformers.
"""
import functools
import math

import numpy as np
import pytest

from support import checkpoint, program
from support.quantized_output import SafetensorsOutput, case, rebuild_float

CONTEXT = 256
WEIGHT_ONLY = ["w8a16", "w8a16-asym", "w4a16", "w4a16-g64", "w4a16-g64-asym"]
ACTIVATIONS = ["w8a8-minmax", "w8a8-histogram", "w8a8-tensor", "w8a8-dynamic"]


@pytest.fixture(scope="session")
def perplexity(pare, demo_text):
    """perplexity(folder, protocol) -> the JSON object that the program prints, checked for its own sense."""
    @functools.cache
    def evaluate(folder, protocol="gptq", context=CONTEXT, windows=None):
        limit = [] if windows is None else ["--windows", windows]
        printed = program.run_json("eval", folder, "--ppl", demo_text, "--protocol", protocol, "--context", context,
                                   "--compute", "f32", *limit)
        assert protocol in printed["protocol"]
        assert math.isfinite(printed["stderr"]) and printed["stderr"] > 0
        assert printed["windows"] > 4 and printed["tokens"] > 0
        return printed
    return evaluate


@pytest.fixture
def few_windows(perplexity):
    """The same over fewer windows, for runs of the program that are compared with each other."""
    return functools.partial(perplexity, windows=5)


@pytest.fixture
def output_of(quantize):
    def make(name, layout="ascend", *options):
        return SafetensorsOutput(quantize(*case(name).options, "--format", layout, *options), case(name), layout)
    return make


@pytest.mark.parametrize("layout", ["ascend", "ascend-v1"])
@pytest.mark.parametrize("name", WEIGHT_ONLY)
def test_weight_only_equals_the_rebuilt_float_model(few_windows, output_of, demo_model, tmp_path, name, layout, measured):
    output = output_of(name, layout)
    source = checkpoint.read_folder(demo_model)
    rebuilt = checkpoint.write_float_folder(tmp_path / "rebuilt", demo_model, rebuild_float(output, source), "float32")
    quantized, float_model = few_windows(output.folder), few_windows(rebuilt)
    measured(f"perplexity of {name} ({layout}): files {quantized['perplexity']:.6f}, rebuilt {float_model['perplexity']:.6f}")
    assert quantized["perplexity"] == pytest.approx(float_model["perplexity"], rel=1e-6)
    assert (quantized["windows"], quantized["tokens"]) == (float_model["windows"], float_model["tokens"])
    original = few_windows(demo_model)["perplexity"]
    assert quantized["perplexity"] != original, "quantization left no trace: the float weights were measured"
    assert quantized["perplexity"] == pytest.approx(original, rel=0.2)


@pytest.mark.parametrize("layout", ["ascend-v1", "npy"])
@pytest.mark.parametrize("name", ["w8a8-minmax", "w8a8-dynamic", "w4a16-g64"])
def test_every_layout_measures_the_same(few_windows, quantize, output_of, name, layout):
    other = quantize(*case(name).options, "--format", layout)
    expected = few_windows(output_of(name).folder)["perplexity"]
    assert few_windows(other)["perplexity"] == pytest.approx(expected, rel=1e-6)


def test_sharded_output_measures_the_same(few_windows, output_of):
    sharded = output_of("w8a8-minmax", "ascend", "--part-file-size", "0.002")
    assert few_windows(sharded.folder)["perplexity"] == few_windows(output_of("w8a8-minmax").folder)["perplexity"]


def test_a_model_compared_with_itself_is_exactly_zero(pare, demo_model, demo_text, output_of):
    for folder in (demo_model, output_of("w8a8-minmax").folder):
        same = program.run_json("compare", folder, folder, "--ppl", demo_text, "--context", CONTEXT)
        assert same["kl_mean"] == 0 and same["kl_max"] == 0
        assert same["top1_agreement"] == 1 and same["perplexity_ratio"] == 1


# --- live ------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def token_ids(demo_model, demo_text):
    from support.tokenizer_judges import LibraryJudge

    return LibraryJudge.from_file(demo_model / "tokenizer.json").encode(demo_text.read_bytes().decode("utf-8"))


def torch_model_of(output, demo_model):
    """The quantized model in torch: dequantized weights, activations rounded before every quantized linear."""
    import torch
    from support import torch_models

    model = torch_models.load(demo_model)
    weights = rebuild_float(output, checkpoint.read_folder(demo_model))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    modules = dict(model.named_modules())
    for name in output.quantized_modules():
        if output.case.static:
            scale, offset = (torch.from_numpy(output.part(name, part).astype(np.float32))
                             for part in ("input_scale", "input_offset"))
            modules[name].register_forward_pre_hook(static_rounding(scale, offset))
        elif output.case.type == "W8A8_DYNAMIC":
            modules[name].register_forward_pre_hook(dynamic_rounding)
    return model


def static_rounding(scale, offset):
    def hook(_, inputs):
        codes = (inputs[0] / scale + offset).round().clamp(-128, 127)
        return ((codes - offset) * scale,)
    return hook


def dynamic_rounding(_, inputs):
    """Symmetric int8 per token, as the device's kernels do."""
    scale = inputs[0].abs().amax(dim=-1, keepdim=True) / 127
    scale = scale.clamp(min=1.1920929e-07)
    return ((inputs[0] / scale).round().clamp(-128, 127) * scale,)


@pytest.mark.live
@pytest.mark.parametrize("name", [*ACTIVATIONS, "w4a16-g64"])
def test_quantized_perplexity_live(perplexity, output_of, demo_model, token_ids, name, measured):
    from support import torch_models

    output = output_of(name)
    expected, windows = torch_models.gptq_perplexity(torch_model_of(output, demo_model), token_ids, CONTEXT)
    printed = perplexity(output.folder)
    measured(f"perplexity of {name}: program {printed['perplexity']:.6f}, torch {expected:.6f}")
    assert printed["windows"] == windows
    # A product that differs in its last bit flips an input on the edge between two codes, and the flips
    # cascade: torch against itself moves by 3e-4 (static scales) when the embedding is scaled by 1 + 3e-7,
    # and by 2e-4 (dynamic ones; 5e-4 in float64).
    tolerance = 2e-3 if output.case.type.startswith("W8A8") else 1e-4
    assert printed["perplexity"] == pytest.approx(expected, rel=tolerance)


@pytest.mark.live
@pytest.mark.parametrize("context", [128, 256, 512])
@pytest.mark.parametrize("protocol", ["gptq", "llamacpp"])
def test_float_perplexity_live(perplexity, demo_model, token_ids, protocol, context, measured):
    from support import torch_models

    model = torch_models.load(demo_model)
    if protocol == "gptq":
        expected, windows = torch_models.gptq_perplexity(model, token_ids, context)
    else:
        expected, windows = torch_models.llamacpp_perplexity(model, token_ids, context, torch_models.bos_of(demo_model))
    printed = perplexity(demo_model, protocol, context)
    measured(f"perplexity of the demo model, {protocol}-{context}: program {printed['perplexity']:.6f}, "
             f"transformers {expected:.6f}")
    assert printed["windows"] == windows
    assert printed["perplexity"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.live
@pytest.mark.parametrize("name", ["w8a8-minmax", "w4a16-g64"])
def test_compare_live(pare, demo_model, demo_text, output_of, token_ids, name, measured):
    """KL(base || quantized) and top-1 agreement over every position of every window."""
    import torch
    from support import torch_models

    output = output_of(name)
    base, quantized = torch_models.load(demo_model), torch_model_of(output, demo_model)
    divergences, same = [], []
    for window in torch_models.windows_of(token_ids, CONTEXT):
        with torch.no_grad():
            p, q = (model(torch.tensor([window]), use_cache=False).logits[0].double().log_softmax(-1)
                    for model in (base, quantized))
        divergences.append((p.exp() * (p - q)).sum(-1).numpy())
        same.append((p.argmax(-1) == q.argmax(-1)).numpy())
    expected, agreement = float(np.concatenate(divergences).mean()), float(np.concatenate(same).mean())
    printed = program.run_json("compare", demo_model, output.folder, "--ppl", demo_text, "--context", CONTEXT)
    measured(f"KL of {name}: program {printed['kl_mean']:.6f}, torch {expected:.6f}; "
             f"top-1 {printed['top1_agreement']:.4f}, torch {agreement:.4f}")
    # The program may score only the targets of its protocol and compute in bfloat16, so this is a coarse check.
    assert printed["kl_mean"] == pytest.approx(expected, rel=0.15)
    assert printed["top1_agreement"] == pytest.approx(agreement, abs=0.02)
