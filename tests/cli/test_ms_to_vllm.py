"""`pare ms-to-vllm`: the options of the script it stands in for, and complete folders."""
import shutil

import pytest
from support.conversion import W4G, W8, assert_same_linears, config_of, description_of, files_of


@pytest.mark.parametrize("layout", ["ascend", "ascend-v1"])
@pytest.mark.parametrize("tool, ours", [("awq", "autoawq"), ("gptq", "gptq")])
def test_ms_to_vllm_is_convert(convert, pare, quantize, quantized, tmp_path, layout, tool, ours):
    source = quantize(*W4G, "--format", layout, calib=None)
    pare("ms-to-vllm", *files_of(source), "--save-path", tmp_path / "out", "--target-tool", tool, "--w-bit", 4)
    assert_same_linears(tmp_path / "out", convert(quantized(W4G), ours))
    assert config_of(tmp_path / "out") == config_of(convert(quantized(W4G), ours))


def test_ms_to_vllm_spelt_as_it_was(pare, quantized, tmp_path):
    pare("ms-to-vllm", *files_of(quantized(W8)), "--save_path", tmp_path / "out", "--w_bit", 8, "--target_tool", "gptq")
    assert config_of(tmp_path / "out")["quantization_config"]["bits"] == 8


def test_ms_to_vllm_writes_awq_unless_told(pare, quantized, tmp_path):
    pare("ms-to-vllm", *files_of(quantized(W4G)), "--save-path", tmp_path / "out")
    assert config_of(tmp_path / "out")["quantization_config"]["quant_method"] == "awq"


def test_ms_to_vllm_takes_shards_by_folder_or_by_one_of_them(convert, pare, quantize, quantized, tmp_path):
    source = quantize(*W4G, "--part-file-size", "0.001", calib=None)
    (description,) = source.glob("quant_model_description*.json")
    for number, model in enumerate((source, sorted(source.glob("*.safetensors"))[1])):
        out = tmp_path / f"out-{number}"
        pare("ms-to-vllm", "--model", model, "--json", description, "--save-path", out, "--target-tool", "gptq")
        assert_same_linears(out, convert(quantized(W4G), "gptq"))


def test_ms_to_vllm_takes_files_of_any_name(pare, quantized, tmp_path):
    source = shutil.copytree(quantized(W4G), tmp_path / "source")
    (source / "quant_model_weight_w4a16.safetensors").rename(source / "w.safetensors")
    (source / "quant_model_description_w4a16.json").rename(tmp_path / "d.json")
    pare("ms-to-vllm", "--model", source / "w.safetensors", "--json", tmp_path / "d.json", "--save-path", tmp_path / "out")
    assert (tmp_path / "out" / "config.json").is_file()


@pytest.mark.parametrize("options, bits", [(W8, 4), (W4G, 8)])
def test_ms_to_vllm_does_not_believe_other_bits(fails, quantized, tmp_path, options, bits):
    text = fails("E0102", 2, "ms-to-vllm", *files_of(quantized(options)), "--save-path", tmp_path / "x", "--w-bit", bits,
                 "--target-tool", "gptq", out=False)
    assert f"--w-bit {bits}" in text and "leave --w-bit out" in text


def test_ms_to_vllm_refuses_eight_bits_for_awq(fails, quantized, tmp_path):
    text = fails("E0318", 4, "ms-to-vllm", *files_of(quantized(W8)), "--save-path", tmp_path / "x", out=False)
    assert "4-bit" in text


def test_ms_to_vllm_writes_no_single_file(fails, quantized, tmp_path):
    text = fails("E0101", 2, "ms-to-vllm", *files_of(quantized(W4G)), "--save-path", tmp_path / "res.safetensors", out=False)
    assert f"--save-path {tmp_path / 'res'}" in text


def test_ms_to_vllm_takes_every_spelling(convert, pare, quantized, tmp_path):
    """Dashes as in the new documentation, underscores as in the script, and the two mixed; with = as well."""
    for number, (path, bits, tool) in enumerate([("--save-path", "--w-bit", "--target-tool"), ("--save_path", "--w_bit", "--target_tool"),
                                                 ("--save-path", "--w_bit", "--target-tool")]):
        out = tmp_path / f"out-{number}"
        pare("ms-to-vllm", *files_of(quantized(W4G)), f"{path}={out}", f"{bits}=4", f"{tool}=gptq")
        assert_same_linears(out, convert(quantized(W4G), "gptq"))


@pytest.mark.parametrize("option, value", [("--w-bit", 5), ("--w_bit", "four"), ("--target-tool", "gguf"), ("--target_tool", "vllm")])
def test_ms_to_vllm_knows_two_tools_and_two_sizes(fails, quantized, tmp_path, option, value):
    text = fails("E0102", 2, "ms-to-vllm", *files_of(quantized(W4G)), "--save-path", tmp_path / "x", option, value, out=False)
    assert str(value) in text and option in text


def test_ms_to_vllm_needs_all_shards(fails, quantize, tmp_path):
    source = shutil.copytree(quantize(*W4G, "--part-file-size", "0.001", calib=None), tmp_path / "source")
    first, second, *_ = sorted(source.glob("*.safetensors"))
    second.unlink()
    text = fails("E0205", 3, "ms-to-vllm", "--model", first, "--json", source / description_of(source), "--save-path", tmp_path / "x", out=False)
    assert second.name in text


def test_ms_to_vllm_help(pare):
    text = " ".join(pare("ms-to-vllm", "--help").stdout.decode().split())
    for word in ("--model", "--json", "--save-path", "--w-bit", "--target-tool"):
        assert word in text
