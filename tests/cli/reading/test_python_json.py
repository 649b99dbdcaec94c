"""JSON as Python writes it: NaN, Infinity and -Infinity are numbers, and what is copied keeps every number as it was spelled."""
import json
import math

import pytest
import small_folders

NUMBERS = """{
  "architectures": [
    "NemotronHForCausalLM"
  ],
  "model_type": "nemotron_h",
  "time_step_limit": [
    0.0,
    Infinity
  ],
  "nested": {
    "low": -Infinity,
    "unset": NaN,
    "list": [],
    "none": {}
  },
  "says": "Infinity, -Infinity and NaN are \\"words\\" here: {NaN",
  "small": 1e-05,
  "large": 1e+20,
  "tenth": 0.1,
  "spelled": 1.50E3,
  "beyond": 1000000000000000019884624838656,
  "negative_beyond": -98765432109876543210,
  "widest": 18446744073709551615,
  "lowest": -9223372036854775808,
  "minus_zero": -0.0,
  "tie_word_embeddings": false
}
"""


def tokens_of(text):
    """The document with every number as its text."""
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=lambda word: f"the constant {word}")


@pytest.fixture
def model(tmp_path):
    return small_folders.write_model(tmp_path / "model", text=NUMBERS)


def test_every_number_of_a_rewritten_config_stays_as_it_was_spelled(pare, model, tmp_path):
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "gptq")
    written = tokens_of((tmp_path / "out" / "config.json").read_text())
    assert written.pop("quantization_config")["quant_method"] == "gptq"
    written.pop("torch_dtype")
    assert written == tokens_of(NUMBERS)
    assert list(written) == list(tokens_of(NUMBERS))


def test_a_config_without_changes_is_written_byte_for_byte(pare, model, tmp_path):
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "dequantized")
    written = (tmp_path / "out" / "config.json").read_text()
    assert written.replace(',\n  "torch_dtype": "float32"', "") == NUMBERS


def test_inspect_and_check_read_it(pare, model, tmp_path):
    pare("inspect", model)
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "gptq")
    for folder in (model, tmp_path / "out"):
        report = json.loads(pare("check", folder, "--json", exit_code=None).stdout)
        readable = [rule["verdict"] for rule in report["rules"] if rule["rule"] == "config-readable"]
        assert readable == ["ok"], report["rules"]


def test_a_converted_config_keeps_it(pare, model, tmp_path):
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "gptq")
    pare("convert", tmp_path / "out", "--to", "compressed-tensors", "-o", tmp_path / "again")
    nested = json.loads((tmp_path / "again" / "config.json").read_text())["nested"]
    assert nested["low"] == -math.inf and math.isnan(nested["unset"])


def test_data_may_hold_them(pare, tmp_path):
    model = small_folders.write_model(tmp_path / "model")
    calib = tmp_path / "calib.jsonl"
    calib.write_text('{"text": "abc NaN Infinity", "score": NaN}\n{"text": "defg", "weights": [Infinity, -Infinity]}\n')
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", calib)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["calibration"]["samples"] == 2


def test_a_template_takes_them_as_they_are_spelled(pare, tmp_path):
    model = small_folders.write_model(tmp_path / "model")
    filled, plain = tmp_path / "filled.jsonl", tmp_path / "plain.jsonl"
    filled.write_text('{"score": -Infinity}\n{"score": NaN}\n')
    plain.write_text('{"text": "is-Infinity"}\n{"text": "isNaN"}\n')
    hashes = []
    for file, more in ((filled, ("--template", "is{score}")), (plain, ())):
        out = tmp_path / file.stem
        pare("quantize", model, "-o", out, "--scheme", "w8a8", "--calib", file, *more)
        hashes.append(json.loads((out / "report.json").read_text())["calibration"]["ids_sha256"])
    assert hashes[0] == hashes[1]


def test_tokenizer_files_may_hold_them(pare, tmp_path):
    model = small_folders.write_model(tmp_path / "model")
    expected = pare("tokenize", model, stdin=b"abc").stdout
    (model / "tokenizer_config.json").write_text('{"model_max_length": Infinity, "other": NaN}')
    small_folders.write_tokenizer(model, comment=math.nan)
    (model / "tokenizer_config.json").write_text('{"model_max_length": Infinity, "other": NaN}')
    assert pare("tokenize", model, stdin=b"abc").stdout == expected


@pytest.mark.parametrize("text", ['{"a": infinity}', '{"a": +Infinity}', '{"a": nan}', '{"a": InfinityNaN}', '{"a": 1NaN}', '{NaN: 1}',
                                  '{"a": Infinit}', '{"a": --Infinity}', '{"a": [NaN NaN]}', '{"a": -NaN}'])
def test_what_python_would_not_read_is_still_damage(fails, tmp_path, text):
    model = small_folders.write_model(tmp_path / "model", text=text)
    assert "config.json:1:" in fails("E0203", 3, "quantize", model, "--scheme", "w8a16")


@pytest.mark.parametrize("key", ["rms_norm_eps", "rope_theta"])
def test_a_number_that_decides_results_must_be_finite(fails, tmp_path, key):
    text = json.dumps(small_folders.config(**{key: math.inf}))
    model = small_folders.write_model(tmp_path / "model", text=text)
    ids = tmp_path / "ids.jsonl"
    ids.write_text('{"input_ids": [1, 2, 3, 4]}\n')
    said = fails("E0402", 3, "quantize", model, "--scheme", "w8a8", "--calib", ids)
    assert key in said and "found Infinity" in said


def test_a_key_given_twice_is_refused_beside_them(fails, tmp_path):
    model = small_folders.write_model(tmp_path / "model", text='{"a": NaN, "a": NaN}')
    assert '"a" twice' in fails("E0203", 3, "quantize", model, "--scheme", "w8a16")


def test_a_packed_folder_keeps_them(pare, model, tmp_path):
    tensors = small_folders.weights()
    index = {"metadata": {"total_size": 1, "rate": math.inf}, "weight_map": dict.fromkeys(tensors, "model.safetensors")}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    pare("compress", model, "-o", tmp_path / "packed")
    assert json.loads((tmp_path / "packed" / "model.safetensors.index.json").read_text())["metadata"]["rate"] == math.inf
    pare("decompress", tmp_path / "packed", "-o", tmp_path / "again")
    assert small_folders.contents(tmp_path / "again") == small_folders.contents(model)
