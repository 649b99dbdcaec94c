"""The ways to tune low-bit sparse quantization, each through one command, on the demo model with outliers in its norms."""
import json

import numpy as np
import pytest
from support import checkpoint, outliers, program

FACTOR = 64
LOWBIT = ("--scheme", "w8a8s", "--method", "lowbit", "--count", 8)
SMOOTH = (*LOWBIT, "--do-smooth", "--smooth-alpha", 0.5)  # without a search, for tests of the files
CONTEXT = ("--protocol", "gptq", "--context", 256, "--windows", 3)


@pytest.fixture(scope="module")
def rough_model(demo_model, tmp_path_factory):
    return outliers.write_with_outliers(tmp_path_factory.mktemp("outliers") / "model", demo_model, FACTOR)


@pytest.fixture(scope="module")
def perplexity(demo_text):
    found = {}

    def of(model):
        if model not in found:
            found[model] = program.run_json("eval", model, "--ppl", demo_text, *CONTEXT)["perplexity"]
        return found[model]

    return of


@pytest.fixture
def rough(quantize, rough_model):
    return lambda *options: quantize(*options, model=rough_model)


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


def test_outliers_leave_the_float_model_as_it_is(demo_model, rough_model, perplexity):
    assert perplexity(rough_model) == perplexity(demo_model)


@pytest.mark.parametrize("name, options", [
    ("fraction 0.01", ("--fraction", 0.01)),
    ("sigma 3", ("--use-sigma", "--sigma-factor", 3)),
    ("L3", ("--disable-level", "L3")),
    ("do_smooth", ("--do-smooth",)),
    ("do_smooth, L3", ("--do-smooth", "--disable-level", "L3")),
    ("do_smooth, alpha 0.5", SMOOTH[len(LOWBIT):]),
    ("do_smooth, first sample", ("--do-smooth", "--smooth-samples", 1)),
])
def test_each_option_is_one_command(rough, rough_model, perplexity, measured, name, options):
    value = perplexity(rough(*LOWBIT, *options))
    measured(f"lowbit w8a8s with outliers x{FACTOR}, {name}: perplexity {value:.2f} (float {perplexity(rough_model):.2f})")
    assert np.isfinite(value)


@pytest.mark.parametrize("scheme", ["w8a8s", "w8a8"])
def test_smoothing_recovers_half_of_what_outliers_cost(quantize, rough, perplexity, measured, scheme):
    options = ("--scheme", scheme, *LOWBIT[2:])
    even, plain, smooth = (perplexity(out) for out in (quantize(*options), rough(*options), rough(*options, "--do-smooth")))
    measured(f"lowbit {scheme}: {even:.2f} without outliers, {plain:.2f} with them, {smooth:.2f} smoothed")
    assert plain > even + 1, "the outliers cost nothing: the test measures nothing"
    assert smooth - even <= (plain - even) / 2


@pytest.mark.parametrize("layout", ["ascend", "ascend-v1", "npy"])
def test_a_smoothed_model_is_the_same_in_every_layout(pare, rough, rough_model, demo_text, perplexity, layout):
    out = rough(*SMOOTH, "--format", layout)
    assert perplexity(out) == perplexity(rough(*SMOOTH))
    kl = program.run_json("compare", rough_model, out, "--ppl", demo_text, *CONTEXT[2:])
    assert 0 < kl["kl_mean"] < 1
    assert pare("generate", out, "--prompt", "It was late", "--max-new-tokens", 4).stdout


def test_a_layout_without_norm_biases_gets_scales_only(rough, rough_model, perplexity):
    options = ("--scheme", "w8a8", *LOWBIT[2:], "--format", "compressed-tensors")
    out = rough(*options, "--do-smooth", "--smooth-alpha", 0.5)
    stored, source = checkpoint.read_folder(out), checkpoint.read_folder(rough_model)
    assert not [name for name in stored if name.endswith(".bias")]
    norm = "model.layers.3.input_layernorm.weight"
    assert not np.array_equal(stored[norm], source[norm]) and np.array_equal(stored["model.norm.weight"], source["model.norm.weight"])
    assert perplexity(out) - perplexity(rough_model) <= (perplexity(rough(*options)) - perplexity(rough_model)) / 2


def float_output(block, tensors, norm, linear, x):
    """The linear behind a norm, f64, from float tensors."""
    def get(name):
        return tensors[f"{block}.{name}"].astype(np.float64)
    bias = tensors.get(f"{block}.{norm}.bias", np.zeros(x.shape[1])).astype(np.float64)
    normed = x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-5) * get(f"{norm}.weight") + bias
    out = normed @ get(f"{linear}.weight").T
    return out + tensors[f"{block}.{linear}.bias"].astype(np.float64) if f"{block}.{linear}.bias" in tensors else out


def test_linears_kept_in_float_are_smoothed_with_their_norm(rough, rough_model):
    """q_proj stays float while k and v are quantized: norm, weight and bias in the files compute what the source did."""
    out = rough(*SMOOTH, "--disable-names", "*q_proj")
    stored, source = checkpoint.read_folder(out), checkpoint.read_folder(rough_model)
    block = "model.layers.2"
    assert stored[f"{block}.self_attn.q_proj.weight"].dtype == checkpoint.BF16
    x = np.random.default_rng(0).standard_normal((16, 256))
    before, after = (float_output(block, t, "input_layernorm", "self_attn.q_proj", x) for t in (source, stored))
    # Three bf16 roundings (norm, weight, bias) of 2^-9 each, over a sum of 256 terms of random sign.
    assert np.abs(after - before).max() < 3 * 2.0 ** -9 * np.abs(before).max() * 4
    assert np.abs(stored[f"{block}.self_attn.q_proj.bias"].astype(np.float32)).max() > 0


def test_the_ascend_layout_holds_every_smoothed_norm_twice(rough):
    out = rough(*SMOOTH)
    tags = json.loads((out / "quant_model_description_w8a8s.json").read_text())
    stored = checkpoint.read_folder(out)
    norm = "model.layers.0.input_layernorm"
    for part in ("weight", "bias"):
        assert tags[f"{norm}.{part}"] == "FLOAT" and tags[f"{norm}.module.{part}"] == "W8A8S"
        assert np.array_equal(stored[f"{norm}.{part}"], stored[f"{norm}.module.{part}"])
    assert stored[f"{norm}.bias"].dtype == checkpoint.BF16 and tags["model.layers.0.self_attn.q_proj.bias"] == "FLOAT"
    assert "model.norm.bias" not in stored
    plain = json.loads((rough(*SMOOTH, "--format", "ascend-v1") / "quant_model_description.json").read_text())
    assert f"{norm}.bias" in plain and f"{norm}.module.weight" not in plain
    npy = np.load(rough(*SMOOTH, "--format", "npy") / "anti_fp_norm.npy", allow_pickle=True).item()
    assert np.array_equal(npy[f"{norm}.bias"], stored[f"{norm}.bias"].astype(np.float32))


def test_quant_bias_holds_the_bias_that_smoothing_adds(rough):
    """quant_bias = rint(bias / deq_scale - input_offset * sum of codes), in f64 from what the files hold."""
    stored = checkpoint.read_folder(rough(*SMOOTH, "--format", "ascend-v1"))
    module = "model.layers.1.self_attn.q_proj"
    part = {name: stored[f"{module}.{name}"] for name in ("weight", "bias", "deq_scale", "input_offset", "quant_bias")}
    sums = part["weight"].astype(np.int64).sum(axis=1) * float(part["input_offset"][0])
    expected = np.rint(part["bias"].astype(np.float64) / part["deq_scale"].astype(np.float64) - sums)
    assert np.abs(part["bias"].astype(np.float32)).max() > 0
    assert np.array_equal(part["quant_bias"], expected)


def test_the_level_keeps_the_largest_inputs_as_float(rough):
    report = report_of(rough(*LOWBIT, "--disable-level", "L3"))
    kept = {entry["name"]: entry["because"] for entry in report["kept"] if entry["name"] != "lm_head"}
    assert len(kept) == 3 and all("largest input" in because for because in kept.values()), kept
    stored = checkpoint.read_folder(rough(*LOWBIT, "--disable-level", "L3"))
    assert all(stored[f"{name}.weight"].dtype == checkpoint.BF16 for name in kept)


@pytest.mark.parametrize("options, message", [
    (("--scheme", "w8a16", "--do-smooth"), "one scale from calibration"),
    (("--scheme", "w8a8", "--smooth-alpha", 0.5), "means nothing without do_smooth"),
    (("--scheme", "w8a8", "--do-smooth", "--smooth-alpha", 1.5), "smooth_alpha"),
])
def test_what_makes_no_sense_is_refused(pare, demo_model, demo_calib, tmp_path, options, message):
    code = 4 if "w8a16" in options else 2
    done = pare("quantize", demo_model, "-o", tmp_path / "out", "--calib", demo_calib, *options, exit_code=code)
    assert message in done.stderr.decode().replace("-", "_") or message in done.stderr.decode()
    assert not (tmp_path / "out").exists()
