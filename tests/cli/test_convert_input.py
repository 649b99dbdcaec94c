"""What `pare convert` is given: every damaged or contradicting folder is one error, and nothing is written."""
import json
import shutil

import numpy as np
import pytest
from support.conversion import DYNAMIC, W4, W4G, W4GA, W8, assert_same_linears, config_of, copy_with, copy_with_text, description_of


def test_float_weights_belong_to_quantize(fails, demo_model):
    text = fails("E0101", 2, "convert", demo_model, "--to", "gptq")
    assert "nothing to convert" in text and "pare quantize" in text


def test_two_layouts_in_one_folder(fails, convert, quantized, tmp_path):
    source = shutil.copytree(convert(quantized(W4G), "gptq"), tmp_path / "source")
    (source / "quant_model_description.json").write_text("{}")
    text = fails("E0402", 3, "convert", source, "--to", "autoawq")
    assert "gptq" in text and "remove quantization_config" in text


def test_a_layout_that_is_not_read(fails, demo_model, tmp_path):
    source = shutil.copytree(demo_model, tmp_path / "source")
    (source / "config.json").write_text(json.dumps({**config_of(demo_model), "quantization_config": {"quant_method": "fp8"}}))
    assert "fp8" in fails("E0318", 4, "convert", source, "--to", "gptq")


@pytest.mark.parametrize("arguments, code, exit_code, says", [
    (("--to", "gptt"), "E0104", 2, "did you mean \"gptq\"?"), (("--to", "npy", "--part-file-size", "1"), "E0102", 2, "npy"),
    (("--to", "autoawq", "--refit-zeros"), "E0102", 2, "--refit-zeros means nothing for autoawq")])
def test_options_that_are_not_allowed(fails, quantized, arguments, code, exit_code, says):
    assert says in fails(code, exit_code, "convert", quantized(W4G), *arguments)


def test_no_folder(fails, tmp_path):
    fails("E0201", 3, "convert", tmp_path / "absent", "--to", "gptq")


def test_the_output_is_not_the_source(fails, quantized, tmp_path):
    source = shutil.copytree(quantized(W4G), tmp_path / "source")
    fails("E0101", 2, "convert", source, "--to", "gptq", "--force", out=source)
    assert_same_linears(source, quantized(W4G))


def test_an_output_is_replaced_only_by_force(fails, pare, quantized, tmp_path):
    pare("convert", quantized(W4G), "--to", "autoawq", "-o", tmp_path / "out")
    fails("E0601", 2, "convert", quantized(W4G), "--to", "gptq", out=tmp_path / "out")
    pare("convert", quantized(W4G), "--to", "gptq", "-o", tmp_path / "out", "--force")
    assert (tmp_path / "out" / "quantize_config.json").is_file()


def test_damaged_codes_are_found(fails, quantized, tmp_path):
    def change(tensors):
        tensors["model.layers.0.self_attn.q_proj.weight"][0, 0] = 9

    source = copy_with(quantized(W4G), tmp_path / "source", change)
    assert "more than 4 bits" in fails("E0207", 3, "convert", source, "--to", "gptq")


# --- zero points and scales ------------------------------------------------------------------------------------------

Q_PROJ = "model.layers.0.self_attn.q_proj"


def with_value(folder, target, tensor, place, value):
    """A copy of a one-file folder in which one number of one tensor is another."""
    def change(tensors):
        tensors[tensor][place] = value

    return copy_with(folder, target, change)


@pytest.mark.parametrize("layout, highest", [("gptq", "1 to 16"), ("gptq-v2", "0 to 15"), ("autoawq", "0 to 15"),
                                             ("compressed-tensors", "0 to 15")])
def test_an_offset_of_11_has_no_place(fails, quantized, tmp_path, layout, highest):
    source = with_value(quantized(W4GA), tmp_path / "source", f"{Q_PROJ}.weight_offset", (5, 1), 11)
    text = fails("E0318", 4, "convert", source, "--to", layout)
    assert f"row 5, group 1: zero point 19 has no place; {highest}" in text and Q_PROJ in text and "--to ascend" in text


@pytest.mark.parametrize("layout", ["gptq", "autoawq", "compressed-tensors", "ascend-v1", "npy", "dequantized"])
def test_an_offset_of_0_6_is_no_zero_point(fails, quantized, tmp_path, layout):
    source = with_value(quantized(W4GA), tmp_path / "source", f"{Q_PROJ}.weight_offset", (5, 1), 0.6)
    text = fails("E0207", 3, "convert", source, "--to", layout)
    assert "weight_offset, value 21" in text and "is no whole number" in text and Q_PROJ in text
    assert "quantize again with zero points rounded" in text


def test_a_scale_that_is_no_number(fails, quantized, tmp_path):
    source = with_value(quantized(W4G), tmp_path / "source", f"{Q_PROJ}.weight_scale", (5, 1), np.nan)
    assert Q_PROJ in fails("E0501", 5, "convert", source, "--to", "gptq")


# --- groups ----------------------------------------------------------------------------------------------------------

def ragged(tensors):
    """Scales for groups of 96 of 256 inputs: two whole ones and a rest."""
    for part in ("weight_scale", "weight_offset"):
        tensors[f"{Q_PROJ}.{part}"] = np.ascontiguousarray(tensors[f"{Q_PROJ}.{part}"][:, :3])


@pytest.mark.parametrize("layout", ["gptq", "autoawq", "compressed-tensors"])
def test_a_ragged_group(fails, quantized, tmp_path, layout):
    source = copy_with(quantized(W4G), tmp_path / "source", ragged)
    text = fails("E0207", 3, "convert", source, "--to", layout)
    assert "weight_scale must be [256, G] with G dividing 256" in text and Q_PROJ in text


def test_a_ragged_group_in_gptq(fails, convert, quantized, tmp_path):
    def change(tensors):
        for part in ("qzeros", "scales"):
            tensors[f"{Q_PROJ}.{part}"] = np.ascontiguousarray(tensors[f"{Q_PROJ}.{part}"][:3])

    source = copy_with(convert(quantized(W4G), "gptq"), tmp_path / "source", change)
    assert "256 inputs do not divide into 3 groups" in fails("E0211", 3, "convert", source, "--to", "autoawq")


@pytest.mark.parametrize("layout, file", [("ascend", "config.json"), ("ascend-v1", "quant_model_description.json"),
                                          ("autoawq", "config.json"), ("gptq", "config.json"), ("compressed-tensors", "config.json")])
def test_a_group_size_that_the_scales_contradict(fails, convert, quantized, tmp_path, layout, file):
    def change(settings):
        details = settings.get("quantization_config", settings)
        for group in details.get("config_groups", {}).values():
            group["weights"]["group_size"] = 128
        if "config_groups" not in details:
            details["group_size"] = 128

    source = copy_with_text(convert(quantized(W4G), layout), tmp_path / "source", file, change)
    target = "gptq" if layout != "gptq" else "autoawq"
    text = fails("E0211", 3, "convert", source, "--to", target)
    assert "group" in text and "model.layers.0" in text


# --- weights and description -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("layout", ["ascend", "ascend-v1", "npy"])
def test_a_tensor_that_is_not_described(fails, convert, quantized, tmp_path, layout):
    folder = convert(quantized(W4G), layout)
    source = copy_with_text(folder, tmp_path / "source", description_of(folder), lambda tags: tags.pop("model.norm.weight") and None)
    text = fails("E0211", 3, "convert", source, "--to", "gptq")
    assert 'in the weight files but not described: "model.norm.weight"' in text and "copy the folder again whole" in text


@pytest.mark.parametrize("layout", ["ascend", "ascend-v1", "npy"])
def test_a_description_without_its_tensor(fails, convert, quantized, tmp_path, layout):
    folder = convert(quantized(W4G), layout)
    source = copy_with_text(folder, tmp_path / "source", description_of(folder), lambda tags: {**tags, "model.extra.weight": "FLOAT"})
    text = fails("E0211", 3, "convert", source, "--to", "gptq")
    assert 'described but not in the weight files: "model.extra.weight"' in text and "copy the folder again whole" in text


def as_legacy(packed, target):
    """An ascend-v1 folder under the name and without the version that tell it from a legacy one."""
    shutil.copytree(packed, target)
    tags = json.loads((target / "quant_model_description.json").read_text())
    (target / "quant_model_description.json").unlink()
    tags.pop("version")
    (target / "quant_model_description_w4a16.json").write_text(json.dumps(tags))
    return target


@pytest.mark.parametrize("options", [W4G, W4], ids=["groups", "rows"])
def test_packed_weights_given_as_legacy(fails, convert, quantized, tmp_path, options):
    source = as_legacy(convert(quantized(options), "ascend-v1"), tmp_path / "source")
    for layout in ("gptq", "compressed-tensors"):
        text = fails("E0207", 3, "convert", source, "--to", layout)
        assert "model.layers.0" in text and "version" in text
    weights, = source.glob("*.safetensors")
    text = fails("E0207", 3, "ms-to-vllm", "--model", weights, "--json", source / description_of(source), "--save-path",
                 tmp_path / "out", "--target-tool", "gptq", out=False)
    assert "version" in text


@pytest.fixture
def shards(quantize, tmp_path):
    """A copy of a folder in several weight files."""
    return shutil.copytree(quantize(*W4G, "--part-file-size", "0.001", calib=None), tmp_path / "source")


def test_half_a_shard_set(fails, shards):
    files = sorted(shards.glob("*.safetensors"))
    for path in files[::2]:
        path.unlink()
    text = fails("E0205", 3, "convert", shards, "--to", "gptq")
    assert files[0].name in text
    next(shards.glob("*.index.json")).unlink()
    assert "of-0000" in fails("E0205", 3, "convert", shards, "--to", "gptq")


def test_a_shard_of_another_run(fails, shards, quantize):
    other = sorted(quantize(*W8, "--part-file-size", "0.001", calib=None).glob("*.safetensors"))[1]
    mine = sorted(shards.glob("*.safetensors"))[1]
    mine.unlink()
    shutil.copyfile(other, mine)
    fails("E0205", 3, "convert", shards, "--to", "gptq")


def test_a_description_of_other_bits(fails, quantized, tmp_path):
    """The same names: only the values can tell."""
    source = shutil.copytree(quantized(W8), tmp_path / "source")
    (source / description_of(source)).unlink()
    (source / "quant_model_weight_w8a16.safetensors").rename(source / "quant_model_weight_w4a16.safetensors")
    shutil.copyfile(quantized(W4) / "quant_model_description_w4a16.json", source / "quant_model_description_w4a16.json")
    text = fails("E0207", 3, "convert", source, "--to", "gptq")
    assert "more than 4 bits" in text and "model.layers.0" in text


@pytest.mark.parametrize("other, code", [((*W4G, "--disable-names", "model.layers.5.mlp.down_proj"), "E0211"), (DYNAMIC, "E0207")],
                         ids=["other layers", "other scheme"])
def test_a_description_of_another_run(fails, quantized, quantize, tmp_path, other, code):
    source = shutil.copytree(quantized(W4G), tmp_path / "source")
    another = quantize(*other, calib=None)
    (source / description_of(source)).unlink()
    (source / "quant_model_description_w4a16.json").write_bytes((another / description_of(another)).read_bytes())
    text = fails(code, 3, "convert", source, "--to", "gptq")
    assert "model.layers." in text


@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size", "num_key_value_heads"])
def test_a_config_of_another_model(fails, quantized, tmp_path, key):
    source = copy_with_text(quantized(W4G), tmp_path / "source", "config.json", lambda config: {**config, key: config[key] // 2})
    text = fails("E0207", 3, "convert", source, "--to", "gptq")
    assert "config.json asks for" in text and "must come from one run" in text


@pytest.mark.parametrize("layout", ["autoawq", "gptq", "compressed-tensors"])
@pytest.mark.parametrize("name", ["quant_model_description.json", "quant_model_description_w4a16.json"])
def test_two_layouts_in_any_folder(fails, convert, quantized, tmp_path, layout, name):
    source = shutil.copytree(convert(quantized(W4G), layout), tmp_path / "source")
    (source / name).write_text(json.dumps({"model_quant_type": "W4A16"}))
    text = fails("E0402", 3, "convert", source, "--to", "npy")
    assert name in text and "remove quantization_config" in text


# --- labels of GPTQ files --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("written, label, word", [("gptq", "gptq_v2", "0x77777777"), ("gptq-v2", "gptq", "0x88888888")])
def test_a_gptq_label_that_the_words_contradict(pare, convert, quantized, tmp_path, written, label, word):
    def change(settings):
        settings.get("quantization_config", settings)["checkpoint_format"] = label

    source = copy_with_text(convert(quantized(W4G), written), tmp_path / "first", "config.json", change)
    source = copy_with_text(source, tmp_path / "source", "quantize_config.json", change)
    done = pare("convert", source, "--to", "ascend", "-o", tmp_path / "out")
    assert f"hold the zeros of {written.replace('-', '_')} (every word {word})" in done.stderr.decode()
    assert_same_linears(tmp_path / "out", quantized(W4G))
    quiet = pare("convert", convert(quantized(W4G), written), "--to", "ascend", "-o", tmp_path / "quiet")
    assert "hold the zeros" not in quiet.stderr.decode()
