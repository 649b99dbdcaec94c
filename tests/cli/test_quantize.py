"""`pare quantize` and `pare inspect` from the outside: what people type, and what they get."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
import yaml
from support import checkpoint, program


def events(process):
    return [json.loads(line) for line in process.stdout.decode().splitlines() if line.startswith("{")]


def test_inspect_says_what_the_model_is(pare, demo_model):
    text = pare("inspect", demo_model).stdout.decode()
    assert "LlamaForCausalLM" in text and "6 layers" in text and "vocabulary 4096" in text
    assert re.search(r"w4a16 g64\s+42", text), text


def test_inspect_json_is_one_object(pare, demo_model):
    found = json.loads(pare("inspect", demo_model, "--json").stdout)
    assert found["architecture"] == "llama" and not found["tied_head"]
    assert len(found["tensors"]) == 57 and len(found["linears"]) == 43
    assert found["parameters"] == sum(int_product(t["shape"]) for t in found["tensors"])


def int_product(shape):
    product = 1
    for size in shape:
        product *= size
    return product


def test_inspect_sizes_are_those_that_quantize_makes(pare, demo_model, quantize):
    found = json.loads(pare("inspect", demo_model, "--json").stdout)
    planned = {(s["scheme"], s["group_size"]): s for s in found["schemes"]}[("w8a16", 0)]
    out = quantize("--scheme", "w8a16", "--format", planned["format"], calib=None)
    [file] = out.glob("*.safetensors")
    header = int.from_bytes(file.read_bytes()[:8], "little") + 8
    assert file.stat().st_size - header == planned["bytes"]


def test_scan_finds_what_is_wrong(pare, demo_model, tmp_path):
    tensors = checkpoint.read_folder(demo_model)
    tensors["model.norm.weight"] = tensors["model.norm.weight"].astype("float32")
    tensors["model.norm.weight"][3] = float("nan")
    tensors["model.layers.2.mlp.up_proj.weight"][[5, 7]] = 0
    tensors["model.layers.4.mlp.up_proj.weight"][:, 9] = 0
    folder = checkpoint.write_float_folder(tmp_path / "m", demo_model, tensors, "float32")
    found = json.loads(pare("inspect", folder, "--scan", "--json").stdout)
    assert found["findings"] == [
        {"tensor": "model.layers.2.mlp.up_proj.weight", "what": "2 of 640 rows are all zero"},
        {"tensor": "model.layers.4.mlp.up_proj.weight", "what": "1 of 256 columns are all zero"},
        {"tensor": "model.norm.weight", "what": "holds NaN or infinity"}]
    assert not json.loads(pare("inspect", demo_model, "--scan", "--json").stdout)["findings"]


def test_the_report_holds_what_was_done(quantize):
    out = quantize("--scheme", "w8a8")
    report = json.loads((out / "report.json").read_text())
    assert report["coverage"]["quantized"] == 42 and report["coverage"]["linears"] == 43
    assert report["kept"] == [{"name": "lm_head", "because": report["kept"][0]["because"]}]
    assert len(report["linears"]) == 42
    for linear in report["linears"]:
        assert 30 < linear["weight_sqnr_db"] < 60 and 15 < linear["output_sqnr_db"] < 60, linear
        assert linear["input_scale"] > 0 and -128 <= linear["input_offset"] <= 127
    weights = out / "quant_model_weight_w8a8.safetensors"
    assert report["size_bytes"]["output"] == weights.stat().st_size
    assert report["effective_bits"] == pytest.approx(weights.stat().st_size * 8 / report["parameters"], abs=1e-3)
    assert len(report["calibration"]["ids_sha256"]) == 64 and report["calibration"]["samples"] >= 30


def test_fused_linears_share_their_input_parameters(quantize):
    report = json.loads((quantize("--scheme", "w8a8") / "report.json").read_text())
    by_name = {linear["name"]: (linear["input_scale"], linear["input_offset"]) for linear in report["linears"]}
    for layer in range(6):
        attention = {by_name[f"model.layers.{layer}.self_attn.{p}_proj"] for p in "qkv"}
        mlp = {by_name[f"model.layers.{layer}.mlp.{p}_proj"] for p in ("gate", "up")}
        assert len(attention) == 1 and len(mlp) == 1


def test_the_stored_recipe_does_the_same_again(pare, demo_model, quantize, tmp_path):
    out = quantize("--scheme", "w4a16", "--group-size", "64", "--asym", "--disable-names", "*.v_proj", calib=None)
    recipe = yaml.safe_load((out / "recipe.yaml").read_text())
    assert recipe["scheme"] == "w4a16" and recipe["group_size"] == 64 and recipe["disable_names"] == ["*.v_proj"]
    again = tmp_path / "again"
    pare("quantize", demo_model, "-o", again, "--recipe", out / "recipe.yaml")
    name = "quant_model_weight_w4a16.safetensors"
    assert (again / name).read_bytes() == (out / name).read_bytes()


@pytest.mark.parametrize("options", [("--scheme", "w8a8"), ("--scheme", "w4a16", "--group-size", "64"),
                                     ("--scheme", "w8a8", "--act-method", "3", "--disable-level", "L3")])
def test_the_same_bytes_for_any_number_of_threads(pare, demo_model, demo_calib, tmp_path, options):
    files = []
    for threads in ("1", "2", "7"):
        out = tmp_path / threads
        pare("quantize", demo_model, "-o", out, "--calib", demo_calib, "--threads", threads, *options)
        files.append({p.name: p.read_bytes() for p in out.iterdir() if p.suffix == ".safetensors"})
    assert files[0] == files[1] == files[2]


def test_the_quantized_block_feeds_the_next_one(pare, tmp_path):
    model = program.GOLDEN / "models" / "llama-gqa"
    scales = []
    for name, options in (("all", ()), ("first-kept", ("--disable-names", "model.layers.0.*"))):
        pare("quantize", model, "-o", tmp_path / name, "--scheme", "w8a8", "--calib", model / "input_ids.jsonl", *options)
        linears = json.loads((tmp_path / name / "report.json").read_text())["linears"]
        scales.append([linear["input_scale"] for linear in linears if linear["name"].startswith("model.layers.1.")])
    assert len(scales[0]) == len(scales[1]) == 7 and scales[0] != scales[1]


def test_fallback_level_keeps_that_many(pare, quantize):
    report = json.loads((quantize("--scheme", "w8a8", "--disable-level", "L4") / "report.json").read_text())
    kept = [k for k in report["kept"] if "disable_level" in k["because"]]
    assert len(kept) == 4 and report["coverage"]["quantized"] == 38


def test_last_linear_is_quantized_on_request(quantize):
    report = json.loads((quantize("--scheme", "w8a8", "--quantize-last-linear") / "report.json").read_text())
    assert report["coverage"]["quantized"] == 43 and report["kept"] == []


def test_dry_run_tells_and_writes_nothing(pare, demo_model, demo_calib, tmp_path):
    out = tmp_path / "out"
    text = pare("quantize", demo_model, "-o", out, "--scheme", "w8a8", "--calib", demo_calib, "--dry-run").stdout.decode()
    assert not out.exists() and list(tmp_path.iterdir()) == []
    for word in ("covers", "42/43", "lm_head", "memory", "time", "size", "BOS yes"):
        assert word in text, text


def test_json_events_are_one_per_line(pare, demo_model, tmp_path):
    process = pare("quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a16", "--json")
    names = [event["event"] for event in events(process)]
    assert "plan" in names and names.count("layer") == 42 and names[-1] == "done"
    assert all(event["schema"] == 1 for event in events(process))


def test_force_replaces_only_what_pare_made(pare, demo_model, tmp_path):
    out = tmp_path / "out"
    pare("quantize", demo_model, "-o", out, "--scheme", "w8a16")
    refused = pare("quantize", demo_model, "-o", out, "--scheme", "w4a16", exit_code=2)
    assert b"E0601" in refused.stderr and (out / "quant_model_weight_w8a16.safetensors").exists()
    pare("quantize", demo_model, "-o", out, "--scheme", "w4a16", "--force")
    assert not (out / "quant_model_weight_w8a16.safetensors").exists()
    foreign = tmp_path / "letters"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    pare("quantize", demo_model, "-o", foreign, "--scheme", "w4a16", "--force", exit_code=2)
    assert (foreign / "letter.txt").read_text() == "dear"


def test_interrupt_leaves_nothing(demo_model, demo_calib, tmp_path):
    long = tmp_path / "long.jsonl"
    long.write_text(demo_calib.read_text() * 60)
    out = tmp_path / "made" / "out"
    out.parent.mkdir()
    process = subprocess.Popen([program.binary(), "quantize", demo_model, "-o", out, "--scheme", "w8a8", "--calib", long,
                                "--compute", "f32"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not any(out.parent.iterdir()):  # the temporary folder is there: the work has begun
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, process.stderr.read()
    assert list(out.parent.iterdir()) == []


def test_an_unknown_architecture_is_quantized_by_name(pare, demo_model, tmp_path):
    folder = tmp_path / "m"
    tensors = checkpoint.read_folder(demo_model)
    checkpoint.write_float_folder(folder, demo_model, tensors, "bfloat16")
    config = json.loads((folder / "config.json").read_text())
    config.update(model_type="gemma9", architectures=["Gemma9ForCausalLM"])
    (folder / "config.json").write_text(json.dumps(config))
    refused = pare("quantize", folder, "-o", tmp_path / "no", "--scheme", "w8a8", "--calib", os.devnull, exit_code=4)
    assert b"Gemma9ForCausalLM (model_type gemma9)" in refused.stderr
    out = tmp_path / "out"
    pare("quantize", folder, "-o", out, "--scheme", "w8a16")
    report = json.loads((out / "report.json").read_text())
    assert report["coverage"]["quantized"] == 42 and "lm_head" in report["kept"][0]["name"]
    known = tmp_path / "known"
    pare("quantize", demo_model, "-o", known, "--scheme", "w8a16")
    name = "quant_model_weight_w8a16.safetensors"
    assert (out / name).read_bytes() == (known / name).read_bytes()
