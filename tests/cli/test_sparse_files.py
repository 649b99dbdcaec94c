"""w8a8s and w4a8-dynamic from the outside: every number in the files computed again with numpy from the float weights."""
import json
import re

import numpy as np
import pytest
from support import arithmetic, checkpoint, program

SPARSE = ("--scheme", "w8a8s", "--fraction", "0.02")
TWO_STAGE = ("--scheme", "w4a8-dynamic", "--group-size", "64")
F32 = np.float32


def golden(name):
    folder = program.GOLDEN / "models" / name
    return {"model": folder, "calib": folder / "input_ids.jsonl"}


def modules_of(tensors):
    return [name[:-len(".weight")] for name, array in tensors.items() if name.endswith(".weight") and array.dtype == np.int8]


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


# --- sparse ----------------------------------------------------------------------------------------------------------

def co_sparse(weight, fraction):
    """-> codes, scale [O]: one limit for the tensor, a scale per row from its largest inlier."""
    w = weight.astype(F32)
    magnitudes = np.sort(np.abs(w).reshape(-1))[::-1]
    limit = magnitudes[int(w.size * fraction) - 1]
    inlier = np.abs(w) <= limit
    amax = np.where(inlier, np.abs(w), F32(0)).max(axis=1, keepdims=True)
    inner, outer = amax / F32(7), (amax * F32(127) / F32(7)) / F32(127)
    codes = np.where(inlier, np.clip(np.rint(w / inner), -7, 7), np.clip(np.rint(w / outer), -127, 127))
    return codes.astype(np.int8), inner[:, 0]


@pytest.mark.parametrize("layout", ["ascend", "ascend-v1"])
@pytest.mark.parametrize("name", ["llama-bf16", "llama-f16", "llama-mqa-bias"])
def test_sparse_numbers(quantize, name, layout):
    where = golden(name)
    source = checkpoint.read_folder(where["model"])
    tensors = checkpoint.read_folder(quantize(*SPARSE, "--format", layout, **where))
    assert len(modules_of(tensors)) >= 7
    for module in modules_of(tensors):
        codes, scale = co_sparse(source[module + ".weight"], 0.02)
        assert np.array_equal(tensors[module + ".weight"], codes), module
        stored = tensors[module + ".deq_scale"]
        assert stored.dtype == (F32 if name == "llama-bf16" else np.int64)
        deq = arithmetic.deq_scale_from_stored(stored)
        assert np.array_equal(deq, tensors[module + ".input_scale"].astype(F32) * scale), module
        bias = source.get(module + ".bias")
        expected = arithmetic.quant_bias(bias, deq, tensors[module + ".input_offset"].astype(F32), codes, np.float64)
        assert np.array_equal(tensors[module + ".quant_bias"], expected), module
        parts = {n[len(module) + 1:] for n in tensors if n.startswith(module + ".")}
        assert parts - {"bias"} == {"weight", "input_scale", "input_offset", "quant_bias", "deq_scale"}
        assert ("bias" in parts) == (bias is not None)


def test_one_sparse_scale_for_the_matrix(quantize, demo_model):
    source = checkpoint.read_folder(demo_model)
    tensors = checkpoint.read_folder(quantize(*SPARSE, "--mm-tensor"))
    for module in modules_of(tensors):
        limit = np.sort(np.abs(source[module + ".weight"].astype(F32)).reshape(-1))[::-1][
            int(source[module + ".weight"].size * 0.02) - 1]
        deq = tensors[module + ".deq_scale"]
        assert np.array_equal(deq, tensors[module + ".input_scale"].astype(F32) * (limit / F32(7))) and deq.shape == (1,)


def test_every_layout_computes_the_same(pare, quantize, demo_text):
    found = set()
    for layout in ("ascend", "ascend-v1", "npy"):
        out = quantize(*SPARSE, "--format", layout)
        printed = program.run_json("eval", out, "--ppl", demo_text, "--windows", "1", "--context", "128", "--compute", "f32")
        found.add(round(printed["perplexity"], 5))
    assert len(found) == 1 and 20 < found.pop() < 80


def test_a_power_is_stored_and_warned_of(pare, demo_model, demo_calib, demo_text, tmp_path):
    out = tmp_path / "out"
    options = (*SPARSE, "--nonuniform", "--calib", demo_calib)
    kept = [f"model.layers.{layer}.*" for layer in range(1, 6)]  # the search takes its time
    process = pare("quantize", demo_model, "-o", out, *options, "--disable-names", *kept)
    assert b"weight_power" in process.stderr and b"noise" in process.stderr
    source, tensors = checkpoint.read_folder(demo_model), checkpoint.read_folder(out)
    reported = {linear["name"]: linear["weight_sqnr_db"] for linear in report_of(out)["linears"]}
    assert len(modules_of(tensors)) == 7
    for module in modules_of(tensors):
        power = tensors[module + ".weight_power"]
        assert power.dtype == F32 and power.shape == (1,) and 0.1 <= power[0] < 1
        scale = tensors[module + ".deq_scale"] / tensors[module + ".input_scale"].astype(F32)
        steps = tensors[module + ".weight"].astype(F32) * scale[:, None]
        rebuilt = np.sign(steps) * np.abs(steps) ** (1 / power[0])
        weight = source[module + ".weight"].astype(np.float64)
        sqnr = 10 * np.log10((weight ** 2).sum() / ((weight - rebuilt) ** 2).sum())
        assert sqnr == pytest.approx(reported[module], abs=0.02), module
    printed = program.run_json("eval", out, "--ppl", demo_text, "--windows", "1", "--context", "128")
    assert 20 < printed["perplexity"] < 80
    refused = pare("quantize", demo_model, "-o", tmp_path / "no", *options, "--format", "npy", exit_code=4)
    assert b"power" in refused.stderr


def test_what_stays_float(quantize, demo_model):
    out = quantize(*SPARSE, "--disable-names", "*.down_proj", "--quantize-last-linear")
    source, tensors = checkpoint.read_folder(demo_model), checkpoint.read_folder(out)
    modules = modules_of(tensors)
    assert "lm_head" in modules and len(modules) == 37 and not [m for m in modules if m.endswith("down_proj")]
    name = "model.layers.0.mlp.down_proj.weight"
    assert tensors[name].tobytes() == source[name].tobytes()
    description = json.loads((out / "quant_model_description_w8a8s.json").read_text())
    assert description["model_quant_type"] == "W8A8S" and description[name] == "FLOAT"
    assert {n for n in description if n != "model_quant_type"} == set(tensors)
    config = json.loads((out / "config.json").read_text())
    assert config["quantize"] == "w8a8s" and config["quantization_config"]["group_size"] == 0


# --- two stages ------------------------------------------------------------------------------------------------------

def two_stage(weight, group):
    """-> codes, row scales [O, 1], group scales [O, G]."""
    w = weight.astype(F32)
    first = np.abs(w).max(axis=1, keepdims=True) / F32(119)
    integers = np.clip(np.rint(w / first), -119, 119)
    grouped = integers.reshape(len(w), -1, group)
    second = np.rint(np.maximum(np.abs(grouped).max(axis=2) / F32(7), F32(1)))
    codes = np.clip(np.rint(grouped / second[:, :, None]), -7, 7)
    return codes.reshape(w.shape).astype(np.int8), first, second


def correction(codes, first, second, runs):
    """Eight times the weights of a row, summed over `runs` equal runs of inputs."""
    rows, width = codes.shape
    weights = codes.astype(np.float64) * np.repeat(second, width // second.shape[1], axis=1) * first
    return (8 * weights.reshape(rows, runs, -1).sum(axis=2)).astype(F32)


@pytest.mark.parametrize("layout", ["ascend", "ascend-v1"])
def test_two_stage_numbers(quantize, demo_model, layout):
    source = checkpoint.read_folder(demo_model)
    tensors = checkpoint.read_folder(quantize(*TWO_STAGE, "--format", layout, calib=None))
    for module in modules_of(tensors):
        codes, first, second = two_stage(source[module + ".weight"], 64)
        rows, groups = second.shape
        stored = tensors[module + ".weight"]
        found = arithmetic.unpack_int4(stored, 0) if layout == "ascend-v1" else stored
        assert np.array_equal(found, codes), module
        for part, expected, dtype in (("weight_scale", first, F32), ("weight_scale_second", second, F32),
                                      ("weight_offset", np.zeros((rows, 1)), F32),
                                      ("weight_offset_second", np.zeros((rows, groups)), np.int64)):
            array = tensors[f"{module}.{part}"]
            assert array.dtype == dtype and array.shape == expected.shape, f"{module}.{part}"
            assert np.array_equal(array, expected), f"{module}.{part}"
        if layout == "ascend":
            assert module + ".scale_bias" not in tensors
            continue
        runs = 16 if module.endswith(("o_proj", "down_proj")) else 1
        bias = tensors[module + ".scale_bias"]
        assert bias.dtype == F32 and bias.shape == (rows, runs)
        np.testing.assert_allclose(bias, correction(codes, first, second, runs), rtol=1e-6, atol=1e-7)


def test_two_stage_layouts_compute_the_same(pare, quantize, demo_text, demo_model, tmp_path):
    found = set()
    for layout in ("ascend", "ascend-v1"):
        out = quantize(*TWO_STAGE, "--format", layout, calib=None)
        printed = program.run_json("eval", out, "--ppl", demo_text, "--windows", "1", "--context", "128", "--compute", "f32")
        found.add(printed["perplexity"])
        header = json.loads(next(out.glob("quant_model_description*.json")).read_text())
        assert header["model_quant_type"] == "W4A8_DYNAMIC"
        assert header.get("group_size") == (64 if layout == "ascend-v1" else None)
    assert len(found) == 1 and 20 < found.pop() < 80
    for options, word in (((*TWO_STAGE, "--format", "npy"), b"second stage"), ((*TWO_STAGE, "--asym"), b"symmetric"),
                          (("--scheme", "w4a8-dynamic"), b"group")):
        refused = pare("quantize", demo_model, "-o", tmp_path / "no", *options, exit_code=4)
        assert word in refused.stderr


# --- what people are told --------------------------------------------------------------------------------------------

def entropy(codes):
    shares = np.bincount(codes.reshape(-1).astype(np.int64) + 128) / codes.size
    shares = shares[shares > 0]
    return -(shares * np.log2(shares)).sum()


def test_the_report_counts_codes(quantize):
    out = quantize(*SPARSE)
    report, tensors = report_of(out), checkpoint.read_folder(out)
    for linear in report["linears"]:
        codes, told = tensors[linear["name"] + ".weight"], linear["codes"]
        assert told["zeros"] == pytest.approx((codes == 0).mean(), abs=1e-6)
        assert told["outliers"] == pytest.approx((np.abs(codes.astype(int)) > 7).mean(), abs=1e-6)
        assert told["entropy_bits"] == pytest.approx(entropy(codes), abs=1e-4)
        assert told["entropy_bits"] <= told["packed_bits"] < told["entropy_bits"] * 1.05 + 0.05
    assert "outliers" not in report_of(quantize("--scheme", "w4a16", calib=None))["codes"]


@pytest.mark.parametrize("options", [SPARSE, (*TWO_STAGE, "--format", "ascend-v1"), ("--scheme", "w8a16", "--format", "npy"),
                                     ("--scheme", "w4a16", "--group-size", "64", "--format", "gptq"),
                                     ("--scheme", "w8a16", "--format", "compressed-tensors")])
def test_the_size_announced_is_that_of_compress(pare, quantize, tmp_path, options):
    """Scales and floats are coded as well as codes, so all are estimated."""
    out = quantize(*options, **({} if options == SPARSE else {"calib": None}))
    pare("compress", out, "-o", tmp_path / "packed")
    packed = json.loads((tmp_path / "packed" / "pare_packed.json").read_text())["packed_bytes"]
    assert report_of(out)["size_bytes"]["packed_estimate"] == pytest.approx(packed, rel=0.04)


def test_nothing_is_announced_where_compress_takes_no_files(quantize):
    out = quantize("--scheme", "w4a16", "--group-size", "64", "--format", "gguf", calib=None)
    assert "packed_estimate" not in report_of(out)["size_bytes"]


def test_dry_run_tells_what_codes_will_look_like(pare, quantize, demo_model, demo_calib, tmp_path):
    text = pare("quantize", demo_model, "-o", tmp_path / "out", *SPARSE, "--calib", demo_calib, "--dry-run").stdout.decode()
    zeros, outliers, bits = map(float, re.search(r"([\d.]+) % zeros, ([\d.]+) % outliers, ([\d.]+) bits", text).groups())
    told = report_of(quantize(*SPARSE))["codes"]
    assert zeros == pytest.approx(100 * told["zeros"], abs=1) and outliers == pytest.approx(100 * told["outliers"], abs=0.5)
    assert bits == pytest.approx(told["entropy_bits"], abs=0.1)
    process = pare("quantize", demo_model, "-o", tmp_path / "out", *SPARSE, "--calib", demo_calib, "--dry-run", "--json")
    event = next(json.loads(line) for line in process.stdout.splitlines() if b'"codes"' in line)
    assert event["linears"] == 42 and event["packed_bytes"] < event["stored_bytes"]
    assert not (tmp_path / "out").exists()


def test_inspect_names_what_a_folder_holds(pare, quantize):
    for options, text in (((*SPARSE, "--format", "npy"), "42 linears as w8a8s, format npy"),
                          ((*TWO_STAGE, "--format", "ascend-v1"), "42 linears as w4a8-dynamic g64, format ascend-v1")):
        out = quantize(*options)
        assert text in pare("inspect", out).stdout.decode()
        assert json.loads(pare("inspect", out, "--json").stdout)["quantized"] == text
