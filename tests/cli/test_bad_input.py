"""Bad input, each through the command line: one clear error, the right exit code, nothing left on disk."""
import json
import os
import shutil
import struct

import numpy as np
import pytest
from support import checkpoint


@pytest.fixture
def model(demo_model, tmp_path):
    """A copy of the demo model to damage."""
    return shutil.copytree(demo_model, tmp_path / "model")


@pytest.fixture
def fails(pare, tmp_path):
    """fails(code, exit_code, *arguments): quantizing ends with that error and leaves no output."""
    folder = tmp_path / "made"
    folder.mkdir()

    def run(code, exit_code, *arguments, out=None):
        done = pare("quantize", *arguments, "-o", out or folder / "out", exit_code=exit_code)
        text = done.stderr.decode()
        assert f"error[{code}]" in text, text
        assert list(folder.iterdir()) == [], list(folder.iterdir())
        return text

    return run


def split_in_two(model):
    tensors = checkpoint.read_folder(model)
    (model / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        checkpoint.write_file(model / file, {name: tensors[name] for name in part})
        weight_map.update(dict.fromkeys(part, file))
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    return weight_map


def write_raw(model, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def edit_tensors(model, edit):
    tensors = checkpoint.read_folder(model)
    edit(tensors)
    checkpoint.write_file(model / "model.safetensors", tensors)


def test_missing_shard(fails, model):
    split_in_two(model)
    (model / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors" in fails("E0205", 3, model, "--scheme", "w8a16")


def test_a_sharded_model_is_fine(pare, model, tmp_path):
    split_in_two(model)
    pare("quantize", model, "-o", tmp_path / "ok", "--scheme", "w8a16")


def test_missing_shard_without_index(fails, model):
    split_in_two(model)
    (model / "model.safetensors.index.json").unlink()
    (model / "model-00001-of-00002.safetensors").unlink()
    assert "model-00001-of-00002.safetensors" in fails("E0205", 3, model, "--scheme", "w8a16")


def test_stale_index(fails, model):
    weight_map = split_in_two(model)
    weight_map["model.layers.9.mlp.up_proj.weight"] = "model-00001-of-00002.safetensors"
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert "model.layers.9.mlp.up_proj.weight" in fails("E0205", 3, model, "--scheme", "w8a16")


def test_truncated_shard(fails, model):
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    assert "model.safetensors" in fails("E0204", 3, model, "--scheme", "w8a16")


@pytest.mark.parametrize("header", [
    {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}},
    {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}},
    {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
    b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
    {"a": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 8]}},
    b"[]", b"", b"{", b'{"\xff":1}',
], ids=["overlap", "beyond-end", "hole", "duplicate", "negative", "overflow", "array", "empty", "cut", "utf8"])
def test_header_lies(fails, model, header):
    write_raw(model, header, b"\0" * 8)
    fails("E0204", 3, model, "--scheme", "w8a16")


def test_a_header_of_100_mib_is_refused_quickly(fails, model):
    with open(model / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", 100 * 2**20))
        file.write(b"{" + b" " * (100 * 2**20 - 1))
    fails("E0204", 3, model, "--scheme", "w8a16")


def test_unknown_dtype(fails, model):
    write_raw(model, {"a": {"dtype": "float 12", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4)
    assert "float 12" in fails("E0210", 3, model, "--scheme", "w8a16")


def test_pickles_are_not_opened(fails, model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert "safetensors" in fails("E0403", 4, model, "--scheme", "w8a16")


@pytest.mark.parametrize("name", ["model.layers.3.mlp.up_proj.weight", "model.norm.weight"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_or_infinity_in_a_weight(fails, model, name, value):
    def damage(tensors):
        tensors[name] = tensors[name].astype("float32")
        tensors[name].reshape(-1)[7] = value
    edit_tensors(model, damage)
    assert name in fails("E0501", 5, model, "--scheme", "w8a16")


def test_pattern_that_matches_nothing(fails, model):
    text = fails("E0312", 2, model, "--scheme", "w8a16", "--disable-names", "model.layer.*.mlp.down_prj")
    assert "did you mean" in text and "down_proj" in text


def test_group_size_that_does_not_divide(fails, model):
    text = fails("E0317", 2, model, "--scheme", "w4a16", "--group-size", "256")
    assert "down_proj" in text and "32, 64, 128" in text


def test_calibration_needed(fails, model):
    assert "--calib" in fails("E0313", 2, model, "--scheme", "w8a8")


def test_empty_calibration_file(fails, model, tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    fails("E0314", 2, model, "--scheme", "w8a8", "--calib", empty)


def test_missing_calibration_file(fails, model, tmp_path):
    fails("E0201", 3, model, "--scheme", "w8a8", "--calib", tmp_path / "none.jsonl")


def test_missing_template_field(fails, model, demo_calib):
    text = fails("E0315", 2, model, "--scheme", "w8a8", "--calib", demo_calib, "--template", "{passage}: {text}")
    assert "passage" in text and "text" in text


def test_calibration_lines_that_are_no_json_are_skipped_and_named(fails, pare, model, tmp_path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "good"}\n{"text": \n')
    text = pare("quantize", model, "--scheme", "w8a8", "--calib", broken, "--dry-run").stdout.decode()
    assert "2 read, 1 skipped" in text and "not valid JSON" in text and "broken.jsonl:2" in text
    broken.write_text("{\n")
    assert "not valid JSON" in fails("E0314", 2, model, "--scheme", "w8a8", "--calib", broken)


def test_token_ids_of_another_model(fails, model, tmp_path):
    ids = tmp_path / "ids.jsonl"
    ids.write_text('{"input_ids": [1, 2, 4096]}\n')
    assert "4096" in fails("E0407", 3, model, "--scheme", "w8a8", "--calib", ids)


def test_token_ids_need_no_tokenizer(pare, model, tmp_path):
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        (model / name).unlink()
    ids = tmp_path / "ids.jsonl"
    ids.write_text(json.dumps({"input_ids": list(range(1, 90))}) + "\n")
    pare("quantize", model, "-o", tmp_path / "ok", "--scheme", "w8a8", "--calib", ids)


def test_tokenizer_absent_where_it_is_needed(fails, model, demo_calib):
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        (model / name).unlink()
    fails("E0404", 3, model, "--scheme", "w8a8", "--calib", demo_calib)


def test_output_in_a_folder_that_is_not_there(fails, model, tmp_path):
    fails("E0602", 3, model, "--scheme", "w8a16", out=tmp_path / "no" / "such" / "out")


def test_unwritable_output_folder(fails, model):
    if not os.path.isdir("/proc/self"):
        pytest.skip("no /proc: no folder that even root may not write")
    fails("E0602", 3, model, "--scheme", "w8a16", out="/proc/self/out")


def test_full_disk(fails, model, tmp_path):
    """A file-size limit of the process stands for a full disk: the write fails half way."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        fails("E0602", 3, model, "--scheme", "w8a16")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_existing_output(fails, pare, model, tmp_path):
    out = tmp_path / "there"
    out.mkdir()
    fails("E0601", 2, model, "--scheme", "w8a16", out=out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("arguments, code", [
    (("--scheme", "w9a9"), "E0104"), (("--scheme", "w8a16", "--group-size", "48"), "E0102"),
    (("--scheme", "w8a8", "--act-method", "4"), "E0102"), (("--scheme", "w8a16", "--disable-level", "5"), "E0102"),
    (("--scheme", "w8a16", "--frobnicate"), "E0101"), ((), "E0101"), (("--scheme", "w8a16", "--format", "gguff"), "E0104"),
    (("--scheme", "w8a16", "--mm-tensor", "--group-size", "64"), "E0102"),
    (("--scheme", "w8a16", "--npy-values", "torch"), "E0102"), (("--scheme", "w8a16", "--method", "maxmin"), "E0104"),
    (("--scheme", "w8a16", "--part-file-size", "-1"), "E0102"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else value)
def test_unknown_option_or_value(fails, model, arguments, code):
    fails(code, 2, model, *arguments)


def test_asymmetric_weights_need_float_activations(fails, model, demo_calib):
    fails("E0318", 4, model, "--scheme", "w8a8", "--asym", "--calib", demo_calib)


def test_memory_limit_refuses_at_plan_time(fails, model, demo_calib):
    fails("E0316", 2, model, "--scheme", "w8a8", "--calib", demo_calib, "--max-memory", "1MiB")


@pytest.mark.parametrize("change", [{"num_hidden_layers": 5}, {"num_hidden_layers": 7}, {"hidden_size": 128},
                                    {"intermediate_size": 641}, {"vocab_size": 4000}, {"num_key_value_heads": 2}])
def test_config_that_contradicts_the_tensors(fails, model, change):
    config = json.loads((model / "config.json").read_text())
    config.update(change)
    (model / "config.json").write_text(json.dumps(config))
    text = fails_any(fails, model, ("E0402", "E0206", "E0207"))
    assert "error[" in text


def fails_any(fails, model, codes):
    for code in codes:
        try:
            return fails(code, 3, model, "--scheme", "w8a16")
        except AssertionError as wrong_code:
            last = wrong_code
    raise last


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model_type": "llama", "model_type": "llama"}', '{"model_type": 3}'])
def test_config_that_is_no_config(fails, model, text):
    (model / "config.json").write_text(text)
    try:
        fails("E0203", 3, model, "--scheme", "w8a16")
    except AssertionError:
        fails("E0402", 3, model, "--scheme", "w8a16")


def test_a_quantized_checkpoint_is_not_quantized_again(fails, quantize, demo_calib):
    out = quantize("--scheme", "w8a16", calib=None)
    assert "quantized already" in fails("E0207", 3, out, "--scheme", "w8a8", "--calib", demo_calib)


def test_folder_without_weights(fails, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    fails("E0201", 3, empty, "--scheme", "w8a16")
    fails("E0201", 3, tmp_path / "nowhere", "--scheme", "w8a16")


def test_activations_that_overflow(fails, model, demo_calib):
    def blow_up(tensors):
        for name in ("model.layers.2.mlp.up_proj.weight", "model.layers.2.mlp.gate_proj.weight"):
            tensors[name] = (tensors[name].astype(np.float32) * 1e30).astype(tensors[name].dtype)
    edit_tensors(model, blow_up)
    assert "block 2" in fails("E0501", 5, model, "--scheme", "w8a8", "--calib", demo_calib)
