"""What msModelSlim's example/ms_to_vllm.py and the steps around it get wrong, and what Pare makes of the same files.

One test for each line of the table in docs/converting.md; the old converter's behaviour is in the first sentence of each.
"""
import json
import shutil

import numpy as np
import pytest
from support import checkpoint, program
from support.conversion import (DYNAMIC, STATIC, W4, W4G, W4G128, W4GA, W8, W8G, assert_same_linears, config_of, copy_with,
                                copy_with_text, description_of, files_of, linear_tensors, report)

Q_PROJ = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def old_line(pare, tmp_path):
    """old_line(folder, tool) -> the folder made under the options of the old converter, and nothing else."""
    def run(folder, tool, *options):
        out = tmp_path / f"{tool}-{len(list(tmp_path.iterdir()))}"
        pare("ms-to-vllm", *files_of(folder), "--save-path", out, "--target-tool", tool, *options)
        return out

    return run


def words(array):
    return array.view(np.uint32)


def test_configuration_and_index_need_no_hand(old_line, quantized):
    """Users copied configuration files, renamed entries of the index, and wrote quantize_config.json themselves."""
    for tool in ("awq", "gptq"):
        names = {path.name for path in old_line(quantized(W4G), tool).iterdir()}
        own = {"quantize_config.json"} if tool == "gptq" else set()
        assert names == own | {"model.safetensors", "config.json", "generation_config.json", "report.json", "special_tokens_map.json",
                               "tokenizer.json", "tokenizer.model", "tokenizer_config.json"}


def test_a_stale_float_index_is_not_copied(fails, pare, quantize, quantized, tmp_path):
    """The float model's index was copied and edited: its names are not those of the quantized tensors."""
    float_index = json.dumps({"metadata": {"total_size": 1}, "weight_map": {f"{Q_PROJ}.weight": "model-00001-of-00002.safetensors"}})
    source = shutil.copytree(quantized(W4G), tmp_path / "source")
    (source / "model.safetensors.index.json").write_text(float_index)
    pare("convert", source, "--to", "gptq", "-o", tmp_path / "one")
    assert not list((tmp_path / "one").glob("*.index.json"))
    pare("convert", source, "--to", "gptq", "-o", tmp_path / "several", "--part-file-size", "0.001")
    index = json.loads((tmp_path / "several" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(checkpoint.read_folder(tmp_path / "several"))
    assert f"{Q_PROJ}.qweight" in index["weight_map"] and f"{Q_PROJ}.weight" not in index["weight_map"]
    shards = shutil.copytree(quantize(*W4G, "--part-file-size", "0.001", calib=None), tmp_path / "shards")
    (shards / "model.safetensors.index.json").write_text(float_index)
    assert "the index is stale: delete it" in fails("E0205", 3, "convert", shards, "--to", "gptq")


def test_awq_states_method_kept_modules_and_float16(old_line, quantized):
    """The example of config.json had no quant_method and no modules_to_not_convert, and said bfloat16, which AWQ kernels refuse."""
    out = old_line(quantized(W4G), "awq")
    config = config_of(out)
    assert config["quantization_config"]["quant_method"] == "awq" and "modules_to_not_convert" in config["quantization_config"]
    assert config["torch_dtype"] == "float16"
    assert {array.dtype for array in checkpoint.read_folder(out).values()} == {np.dtype(np.int32), np.dtype(np.float16)}


def test_symmetric_awq_still_says_zero_point(old_line, quantized):
    """zero_point: true for symmetric weights was not explained: users put false, which no loader of packed zeros can read."""
    out = old_line(quantized(W4G), "awq")
    assert config_of(out)["quantization_config"]["zero_point"] is True
    zeros = [array for name, array in checkpoint.read_folder(out).items() if name.endswith(".qzeros")]
    assert len(zeros) == 42 and all((words(array) == 0x88888888).all() for array in zeros)


def test_the_group_size_comes_from_the_scales(old_line, quantized):
    """The examples said 64 where the weights were quantized in groups of 128."""
    for options, size in ((W4G, 64), (W4G128, 128)):
        for tool in ("awq", "gptq"):
            out = old_line(quantized(options), tool)
            assert config_of(out)["quantization_config"]["group_size"] == size
            assert checkpoint.read_folder(out)[f"{Q_PROJ}.scales"].shape == (256 // size, 256)


def test_gptq_states_everything_that_loaders_guess(old_line, quantized):
    """The example of quantize_config.json held bits and group_size alone; without desc_act AutoGPTQ takes it for true."""
    out = old_line(quantized(W4G), "gptq")
    settings = json.loads((out / "quantize_config.json").read_text())
    assert (settings["desc_act"], settings["sym"], settings["quant_method"], settings["checkpoint_format"]) == (False, True, "gptq", "gptq")
    assert settings == config_of(out)["quantization_config"]


def test_gptq_holds_the_group_of_every_input(old_line, quantized):
    """g_idx was never written."""
    tensors = checkpoint.read_folder(old_line(quantized(W4G), "gptq"))
    indices = [name for name in tensors if name.endswith(".g_idx")]
    assert len(indices) == 42
    for name in indices:
        assert np.array_equal(tensors[name], np.arange(tensors[name].size, dtype=np.int32) // 64), name


def test_one_scale_per_row_is_minus_one_in_gptq_and_refused_by_awq(old_line, fails, quantized, tmp_path):
    """Users had to know that -1 is meant, scales [O] without a second dimension crashed, and AWQ files of this kind load in few engines."""
    def flatten(tensors):
        for name in [name for name in tensors if name.endswith(("weight_scale", "weight_offset"))]:
            tensors[name] = tensors[name].reshape(-1)

    flat = copy_with(quantized(W4), tmp_path / "flat", flatten)
    assert checkpoint.read_folder(flat)[f"{Q_PROJ}.weight_scale"].shape == (256,)
    out = old_line(flat, "gptq")
    assert config_of(out)["quantization_config"]["group_size"] == -1
    assert checkpoint.read_folder(out)[f"{Q_PROJ}.scales"].shape == (1, 256)
    assert_same_linears(out, old_line(quantized(W4), "gptq"))
    text = fails("E0318", 4, "ms-to-vllm", *files_of(flat), "--save-path", tmp_path / "awq", out=False)
    assert "need groups" in text


def test_a_zero_point_of_0_does_not_spill_over_its_neighbours(fails, pare, quantized, lowest_zero, tmp_path):
    """Zeros less one became 0xFFFFFFFF and overwrote the higher fields of their word; the caller's tensor was changed in place."""
    before = checkpoint.read_folder(lowest_zero)
    text = fails("E0318", 4, "convert", lowest_zero, "--to", "gptq")
    assert "model.layers.4.self_attn.o_proj" in text and "row 3, group 2: zero point 0 has no place; 1 to 16 have one" in text
    assert "gptq-v2" in text and "--refit-zeros" in text
    pare("convert", lowest_zero, "--to", "gptq", "--refit-zeros", "-o", tmp_path / "refit")
    pare("convert", quantized(W4GA), "--to", "gptq", "-o", tmp_path / "plain")
    name = "model.layers.4.self_attn.o_proj.qzeros"
    refit, plain = (words(checkpoint.read_folder(tmp_path / folder)[name]) for folder in ("refit", "plain"))
    others = np.full_like(plain, 0xFFFFFFFF)
    others[2, 0] = 0xFFFF0FFF  # the field of row 3 in group 2
    assert np.array_equal(refit & others, plain & others) and (refit[2, 0] >> 12) & 15 == 0
    after = checkpoint.read_folder(lowest_zero)
    assert all(np.array_equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("offset, code, exit_code, says", [(11, "E0318", 4, "zero point 19 has no place"), (0.6, "E0207", 3, "is no whole number")])
@pytest.mark.parametrize("tool", ["awq", "gptq"])
def test_offsets_are_not_clamped_and_not_cut(fails, quantized, tmp_path, tool, offset, code, exit_code, says):
    """11 became 7, and 0.6 became 0."""
    def change(tensors):
        tensors[f"{Q_PROJ}.weight_offset"][5, 1] = offset

    source = copy_with(quantized(W4GA), tmp_path / "source", change)
    text = fails(code, exit_code, "ms-to-vllm", *files_of(source), "--save-path", tmp_path / "x", "--target-tool", tool, out=False)
    assert says in text and Q_PROJ in text


def smoothed(folder, target, names, bias):
    """A folder whose norms also have the copies that msModelSlim's smoothing leaves: with other weights, and a bias."""
    def change(tensors):
        for name in names:
            weight = tensors[f"{name}.weight"].astype(np.float32)
            tensors[f"{name}.module.weight"] = (2 * weight).astype(checkpoint.BF16)
            tensors[f"{name}.module.bias"] = np.full(weight.shape, bias, checkpoint.BF16)

    copy_with(folder, target, change)
    path = target / description_of(folder)
    tags = json.loads(path.read_text())
    tags.update({f"{name}.module.{part}": "W4A16" for name in names for part in ("weight", "bias")})
    path.chmod(0o600)
    path.write_text(json.dumps(dict(sorted(tags.items()))))
    return target


NORMS = ["model.layers.0.input_layernorm", "model.layers.3.post_attention_layernorm", "model.norm"]


def test_the_folded_norm_counts_whatever_the_order(pare, quantized, tmp_path):
    """Which of norm.weight and norm.module.weight was taken depended on the order of the JSON, and that of model.norm was dropped."""
    source = smoothed(quantized(W4G), tmp_path / "source", NORMS, bias=0)
    for layout in ("autoawq", "gptq", "compressed-tensors"):
        done = pare("convert", source, "--to", layout, "-o", tmp_path / layout)
        before, after = checkpoint.read_folder(quantized(W4G)), checkpoint.read_folder(tmp_path / layout)
        for name in NORMS:
            assert np.array_equal(after[f"{name}.weight"].astype(np.float32), 2 * before[f"{name}.weight"].astype(np.float32)), name
            assert f"{name}.weight differs from {name}.module.weight" in done.stderr.decode()
        assert not [name for name in after if "module" in name or name.endswith("norm.bias")]


def test_the_bias_of_a_smoothed_norm_is_not_lost(fails, pare, quantized, tmp_path):
    """norm.module.bias was copied under a name that no engine knows."""
    source = smoothed(quantized(W4G), tmp_path / "source", NORMS, bias=0.5)
    for layout in ("autoawq", "gptq", "compressed-tensors"):
        text = fails("E0318", 4, "convert", source, "--to", layout)
        assert "model.layers.0.input_layernorm.bias" in text and "--to ascend-v1" in text
    pare("convert", source, "--to", "ascend-v1", "-o", tmp_path / "out")
    for name in NORMS:
        assert (checkpoint.read_folder(tmp_path / "out")[f"{name}.bias"] == 0.5).all()


def test_tensors_and_description_must_name_each_other(fails, quantized, tmp_path):
    """Tensors that the JSON did not name, or of an unknown type, were dropped; entries without a tensor were ignored."""
    folder = quantized(W4G)
    without = copy_with_text(folder, tmp_path / "without", description_of(folder), lambda tags: tags.pop("model.norm.weight") and None)
    more = copy_with_text(folder, tmp_path / "more", description_of(folder), lambda tags: {**tags, "model.extra.weight": "FLOAT"})
    unknown = copy_with_text(folder, tmp_path / "unknown", description_of(folder), lambda tags: {**tags, "model.norm.weight": "NF4"})
    for source, code, exit_code, name in ((without, "E0211", 3, "model.norm.weight"), (more, "E0211", 3, "model.extra.weight"),
                                          (unknown, "E0318", 4, "model.norm.weight")):
        for arguments in (("convert", source, "--to", "gptq", "-o", tmp_path / "out"), ("ms-to-vllm", *files_of(source), "--save-path", tmp_path / "out")):
            assert name in fails(code, exit_code, *arguments, out=False)


def test_bits_come_from_the_tensors(old_line, fails, quantized, tmp_path):
    """--w_bit is 4 unless given: 8-bit codes were clamped to 4 bits, and that counted as success."""
    out = old_line(quantized(W8), "gptq")
    assert config_of(out)["quantization_config"]["bits"] == 8
    codes = checkpoint.read_folder(out)[f"{Q_PROJ}.qweight"].view(np.uint8).reshape(64, 256, 4)
    assert np.array_equal((codes.astype(np.int16) - 128).transpose(1, 0, 2).reshape(256, 256), checkpoint.read_folder(quantized(W8))[f"{Q_PROJ}.weight"])
    text = fails("E0102", 2, "ms-to-vllm", *files_of(quantized(W8)), "--save-path", tmp_path / "x", "--w_bit", "4", "--target_tool", "gptq", out=False)
    assert "--w-bit 4" in text and "8 bits" in text


def test_eight_bits_and_awq_are_refused_in_words(fails, quantized, tmp_path):
    """An IndexError from a table of nibbles."""
    for options in (W8, W8G):
        text = fails("E0318", 4, "ms-to-vllm", *files_of(quantized(options)), "--save-path", tmp_path / "x", "--w-bit", "8", out=False)
        assert "AWQ files hold 4-bit codes and nothing else" in text and "without loss" in text and "gptq" in text


@pytest.mark.parametrize("options", [W4G, W4], ids=["groups", "rows"])
def test_packed_weights_are_unpacked(pare, convert, old_line, quantized, options):
    """Weights with two codes to a byte were taken for weights of half the size."""
    packed = convert(quantized(options), "ascend-v1")
    assert checkpoint.read_folder(packed)[f"{Q_PROJ}.weight"].size == 256 * 256 // 2
    assert_same_linears(old_line(packed, "gptq"), old_line(quantized(options), "gptq"))


def small_model(target, outputs, inputs):
    """An Ascend folder with one linear of this size, one scale per row, of a model that nobody knows."""
    target.mkdir()
    rng = np.random.default_rng(1)
    tensors = {"a.weight": rng.integers(-8, 8, (outputs, inputs), np.int8), "a.weight_scale": np.ones((outputs, 1), np.float16),
               "a.weight_offset": np.zeros((outputs, 1), np.float16), "norm.weight": np.ones(4, np.float16)}
    checkpoint.write_file(target / "quant_model_weight_w4a16.safetensors", tensors)
    tags = {name: "FLOAT" if name.startswith("norm") else "W4A16" for name in tensors}
    (target / "quant_model_description_w4a16.json").write_text(json.dumps({"model_quant_type": "W4A16", **tags}))
    (target / "config.json").write_text(json.dumps({"model_type": "unheard", "torch_dtype": "float16"}))
    return target


@pytest.mark.parametrize("outputs, inputs, says", [(20, 72, "20 outputs"), (24, 76, "76 inputs")])
def test_sizes_that_words_do_not_divide_are_refused(fails, pare, tmp_path, outputs, inputs, says):
    """Sizes were divided and rounded down: 72 inputs gave 8 rows of words, 24 outputs zeros of no width."""
    source = small_model(tmp_path / "source", outputs, inputs)
    text = fails("E0318", 4, "convert", source, "--to", "gptq")
    assert says in text and "8 of them share a word" in text and "without loss: --to " in text
    pare("convert", source, "--to", "compressed-tensors", "-o", tmp_path / "ct")
    assert checkpoint.read_folder(tmp_path / "ct")["a.weight_packed"].shape == (outputs, -(-inputs // 8))


def test_sizes_that_words_divide_keep_every_code(pare, tmp_path):
    """72 inputs and 24 outputs are whole words, which the old converter cut as well."""
    source = small_model(tmp_path / "source", 24, 72)
    pare("convert", source, "--to", "gptq", "-o", tmp_path / "out")
    tensors = checkpoint.read_folder(tmp_path / "out")
    assert tensors["a.qweight"].shape == (9, 24) and tensors["a.qzeros"].shape == (1, 3)
    fields = (words(tensors["a.qweight"])[:, None, :] >> (4 * np.arange(8, dtype=np.uint32))[None, :, None]) & 15
    assert np.array_equal(fields.reshape(72, 24).T.astype(np.int8) - 8, checkpoint.read_folder(source)["a.weight"])


def test_scales_become_float16_within_its_range(fails, old_line, wide_scales, tmp_path):
    """Scales stayed F32 or BF16, for each loader to cast as it likes."""
    for tool in ("awq", "gptq"):
        out = old_line(wide_scales, tool)
        scales = {name: array for name, array in checkpoint.read_folder(out).items() if name.endswith(".scales")}
        assert len(scales) == 42 and {array.dtype for array in scales.values()} == {np.dtype(np.float16)}
        assert report(out)["scales"]["rounded"] > 0 and report(out)["scales"]["worst_relative_change"] <= 2**-11
    for value in (7e4, 1e-9):
        def change(tensors, value=value):
            tensors[f"{Q_PROJ}.weight_scale"][7, 1] = value

        source = copy_with(wide_scales, tmp_path / f"scale-{value}", change)
        text = fails("E0502", 5, "ms-to-vllm", *files_of(source), "--save-path", tmp_path / "x", out=False)
        assert f"{Q_PROJ}, row 7, group 1" in text and "compressed-tensors" in text


def test_shards_go_in_and_out_and_the_files_can_be_read(pare, quantize, quantized, tmp_path):
    """One file, all of it in memory, written with mode 0400 and without the format that transformers asks for."""
    source = quantize(*W4G, "--part-file-size", "0.001", calib=None)
    weights = sorted(source.glob("*.safetensors"))
    assert len(weights) > 3
    pare("ms-to-vllm", "--model", weights[0], "--json", source / description_of(source), "--save-path", tmp_path / "out", "--part-file-size", "0.001")
    files = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 3
    for path in files:
        assert path.stat().st_mode & 0o600 == 0o600
        assert b'"__metadata__":{"format":"pt"}' in path.read_bytes()[:200]
    pare("convert", quantized(W4G), "--to", "autoawq", "-o", tmp_path / "one")
    assert_same_linears(tmp_path / "out", tmp_path / "one")


@pytest.mark.parametrize("options", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_int8_activations_have_a_layout(convert, quantized, options):
    """W4A16 and W8A16 were all there was."""
    out = convert(quantized(options), "compressed-tensors")
    assert config_of(out)["quantization_config"]["format"] == "int-quantized"
    assert_same_linears(convert(out, "ascend"), quantized(options))


def test_layers_that_stay_float_are_named(convert, quantize):
    """Nothing checked that configuration and kept layers agree."""
    kept = "model.layers.3.mlp.down_proj"
    source = quantize(*W4G, "--disable-names", kept, calib=None)
    assert kept in config_of(convert(source, "autoawq"))["quantization_config"]["modules_to_not_convert"]
    assert kept in config_of(convert(source, "compressed-tensors"))["quantization_config"]["ignore"]
    assert "-:^model\\.layers\\.3\\.mlp\\.down_proj$" in config_of(convert(source, "gptq"))["quantization_config"]["dynamic"]
    for layout in ("autoawq", "gptq", "compressed-tensors"):
        assert checkpoint.read_folder(convert(source, layout))[f"{kept}.weight"].shape == (256, 640)


def test_what_was_written_is_decoded_and_compared(pare, quantized, tmp_path):
    """A written file counted as success."""
    text = pare("ms-to-vllm", *files_of(quantized(W4G)), "--save-path", tmp_path / "out").stdout.decode()
    assert "read again, decoded, and what the source holds" in text and "largest difference 0" in text
    assert report(tmp_path / "out")["coverage"]["tensors_verified"] == len(checkpoint.read_folder(tmp_path / "out"))


def test_tokenizer_and_code_come_along(old_line, quantized, tmp_path):
    """The user copied the tokenizer; two savers of the original lose tokenizer.model and special_tokens_map.json."""
    source = shutil.copytree(quantized(W4G), tmp_path / "source")
    for name in ("tokenization_chatglm.py", "qwen.tiktoken", "vocab.json", "merges.txt", "added_tokens.json", "chat_template.jinja"):
        (source / name).write_text("{}" if name.endswith(".json") else name)
    out = old_line(source, "awq")
    for name in ("tokenizer.model", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "tokenization_chatglm.py", "qwen.tiktoken",
                 "vocab.json", "merges.txt", "added_tokens.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (source / name).read_bytes(), name
    assert program.perplexity(out) == pytest.approx(program.perplexity(quantized(W4G)), rel=1e-4)


def test_what_the_old_converter_did_right(old_line, quantized):
    """Transposed scales, AWQ's order of nibbles, codes plus 8, and the words of symmetric zeros."""
    source = checkpoint.read_folder(quantized(W4G))
    awq, gptq = (checkpoint.read_folder(old_line(quantized(W4G), tool)) for tool in ("awq", "gptq"))
    unsigned = (source[f"{Q_PROJ}.weight"].T.astype(np.int16) + 8).astype(np.uint32)  # [inputs, outputs]
    shifts = 4 * np.arange(8, dtype=np.uint32)
    natural = np.bitwise_or.reduce(unsigned.reshape(32, 8, 256) << shifts[None, :, None], axis=1)
    ordered = np.bitwise_or.reduce(unsigned.reshape(256, 32, 8)[:, :, [0, 2, 4, 6, 1, 3, 5, 7]] << shifts, axis=2)
    assert np.array_equal(words(gptq[f"{Q_PROJ}.qweight"]), natural)
    assert np.array_equal(words(awq[f"{Q_PROJ}.qweight"]), ordered)
    assert (words(awq[f"{Q_PROJ}.qzeros"]) == 0x88888888).all() and (words(gptq[f"{Q_PROJ}.qzeros"]) == 0x77777777).all()
    for tensors in (awq, gptq):
        assert np.array_equal(tensors[f"{Q_PROJ}.scales"].T.astype(np.float32), source[f"{Q_PROJ}.weight_scale"].astype(np.float32))
    assert linear_tensors(quantized(W4G)).keys() < source.keys()
