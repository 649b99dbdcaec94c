"""`pare convert` and `pare ms-to-vllm` from the outside: what they write is read here by safetensors and numpy alone."""
import json
import shutil

import numpy as np
import pytest
from support import checkpoint, program

W4G, W4GA = ("--scheme", "w4a16", "--group-size", "64"), ("--scheme", "w4a16", "--group-size", "64", "--asym")
W4G128, W4, W4A = ("--scheme", "w4a16", "--group-size", "128"), ("--scheme", "w4a16"), ("--scheme", "w4a16", "--asym")
W8, W8G, W8A = ("--scheme", "w8a16"), ("--scheme", "w8a16", "--group-size", "64"), ("--scheme", "w8a16", "--asym")
STATIC, DYNAMIC = ("--scheme", "w8a8"), ("--scheme", "w8a8-dynamic")
OURS = ("ascend", "ascend-v1", "npy")
GPTQ = ("gptq", "gptq-v2")
# What holds a scheme without loss, next to the layouts of Ascend: section by section of docs/converting.md.
EXACT = [(W4G, ("autoawq", *GPTQ, "compressed-tensors")), (W4GA, ("autoawq", *GPTQ, "compressed-tensors")),
         (W4G128, ("autoawq", *GPTQ, "compressed-tensors")), (W4, (*GPTQ, "compressed-tensors")), (W4A, (*GPTQ, "compressed-tensors")),
         (W8, (*GPTQ, "compressed-tensors")), (W8G, (*GPTQ, "compressed-tensors")), (W8A, (*GPTQ, "compressed-tensors")),
         (STATIC, ("compressed-tensors",)), (DYNAMIC, ("compressed-tensors",))]
LABELS = ["-".join(word.strip("-") for word in options[1:]) for options, _ in EXACT]


@pytest.fixture(scope="module")
def convert(pare, tmp_path_factory):
    """convert(folder, layout, *options) -> the new folder; the same request runs once."""
    made = {}

    def run(folder, layout, *options):
        key = (str(folder), layout, *options)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("converted") / "out"
            pare("convert", folder, "--to", layout, "-o", made[key], *options)
        return made[key]

    return run


@pytest.fixture
def fails(pare, tmp_path):
    """fails(code, exit_code, verb, ...) -> what was printed, once it is clear that nothing was left behind."""
    def run(code, exit_code, *arguments, out=None):
        before = sorted(path.name for path in tmp_path.iterdir())
        where = [] if out is False else ["-o", out or tmp_path / "refused"]
        text = pare(*arguments, *where, exit_code=exit_code).stderr.decode()
        assert f"error[{code}]" in text, text
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        return text

    return run


@pytest.fixture
def quantized(quantize):
    return lambda options: quantize(*options, calib=quantize_needs(options))


def quantize_needs(options):
    return program.PROJECT_ROOT / "demo" / "calib.jsonl" if options == STATIC else None


def tensors_of(folder):
    """{name: array} of a folder in any layout; entries of npy dictionaries as "file:name"."""
    if (folder / "quant_weight.npy").is_file():
        dictionaries = {path.stem: np.load(path, allow_pickle=True).item() for path in sorted(folder.glob("*.npy"))}
        return {f"{stem}:{name}": array for stem, values in dictionaries.items() for name, array in values.items()}
    return checkpoint.read_folder(folder)


def linear_tensors(folder):
    """The tensors of quantized linears, in a type that holds all of their values."""
    found = {}
    for name, array in tensors_of(folder).items():
        if ".layers." in name and "norm" not in name:
            found[name] = array.astype(np.float32) if array.dtype in (checkpoint.BF16, np.float16) else array
    assert found
    return found


def assert_same_linears(a, b):
    left, right = linear_tensors(a), linear_tensors(b)
    assert left.keys() == right.keys()
    for name in left:
        assert np.array_equal(left[name], right[name]), name


def perplexity(folder):
    return program.run_json("eval", folder, "--ppl", program.PROJECT_ROOT / "demo" / "text.txt", "--context", 128, "--windows", 2)["perplexity"]


def report(folder):
    return json.loads((folder / "report.json").read_text())


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def copy_with(folder, target, change):
    """A copy of a one-file folder whose tensors went through `change`. -> the copy"""
    shutil.copytree(folder, target)
    (path,) = target.glob("*.safetensors")
    tensors = checkpoint.read_file(path)
    change(tensors)
    path.chmod(0o600)
    checkpoint.write_file(path, tensors)
    return target


# --- codes, scales and zeros stay ------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, layouts", EXACT, ids=LABELS)
def test_every_exact_layout_and_back(convert, quantized, options, layouts):
    source = quantized(options)
    for layout in (*OURS, *layouts):
        there = convert(source, layout)
        assert report(there)["max_weight_difference"] == 0 and report(there)["scales"]["rounded"] == 0, layout
        assert_same_linears(convert(there, "ascend"), source)


@pytest.mark.parametrize("options", [W4GA, W8], ids=["w4a16-group-asym", "w8a16-row"])
def test_every_pair_of_layouts(convert, quantized, options):
    """A -> B holds what ascend -> B holds; with the round trips above, every A -> B -> A."""
    source = quantized(options)
    layouts = (*OURS[1:], *dict(EXACT)[options])
    for first in layouts:
        for second in layouts:
            if first != second:
                assert_same_linears(convert(convert(source, first), second), convert(source, second))


@pytest.fixture(scope="module")
def half_model(demo_model, tmp_path_factory):
    """The demo model in float16: every layout holds its tensors and scales as they are."""
    folder = tmp_path_factory.mktemp("f16") / "model"
    return checkpoint.write_float_folder(folder, demo_model, checkpoint.read_folder(demo_model), "float16")


def test_what_quantize_writes_and_what_convert_writes(convert, quantize, half_model):
    source = quantize(*W4GA, model=half_model, calib=None)
    for layout in ("autoawq", *GPTQ, "compressed-tensors", "ascend-v1"):
        directly = quantize(*W4GA, "--format", layout, model=half_model, calib=None)
        for path in directly.glob("*.safetensors"):
            assert path.read_bytes() == (convert(source, layout) / path.name).read_bytes(), layout
        assert config_of(directly) == config_of(convert(source, layout))


def unpacked(words, axis, order):
    """I32 words -> 4-bit codes as they lie in the file (0..15), eight along `axis`."""
    shifts = np.array(order, np.uint32) * 4
    fields = (np.expand_dims(words.view(np.uint32), axis + 1) >> shifts.reshape((-1, 1) if axis == 0 else (1, 1, -1))) & 15
    shape = list(words.shape)
    shape[axis] *= 8
    return fields.reshape(shape).astype(np.float32)


@pytest.mark.parametrize("layout", ["autoawq", "gptq", "gptq-v2"])
def test_numpy_decodes_the_same_weights(convert, quantized, layout):
    source, there = checkpoint.read_folder(quantized(W4GA)), checkpoint.read_folder(convert(quantized(W4GA), layout))
    natural, awq = range(8), (0, 4, 1, 5, 2, 6, 3, 7)
    for module in ("model.layers.0.self_attn.q_proj", "model.layers.5.mlp.down_proj"):
        scales = np.repeat(there[f"{module}.scales"].astype(np.float32), 64, axis=0)
        zeros = unpacked(there[f"{module}.qzeros"], 1, awq if layout == "autoawq" else natural) + (layout == "gptq")
        codes = unpacked(there[f"{module}.qweight"], *((1, awq) if layout == "autoawq" else (0, natural)))
        weight = ((codes - np.repeat(zeros, 64, axis=0)) * scales).T
        part = {key: source[f"{module}.{key}"].astype(np.float32) for key in ("weight", "weight_scale", "weight_offset")}
        expected = (part["weight"] - np.repeat(part["weight_offset"], 64, axis=1)) * np.repeat(part["weight_scale"], 64, axis=1)
        assert np.array_equal(weight, expected)


def test_the_perplexity_stays_to_the_last_digit(convert, quantize, half_model):
    source = quantize(*W4GA, model=half_model, calib=None)
    expected = perplexity(source)
    for layout in ("ascend-v1", "npy", "autoawq", "gptq", "gptq-v2", "compressed-tensors"):
        assert perplexity(convert(source, layout)) == expected, layout
        assert report(convert(source, layout))["float_tensors"]["rounded"] == 0


@pytest.mark.parametrize("options", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_int8_activations_keep_the_perplexity(convert, quantized, options):
    source = quantized(options)
    for layout in ("ascend-v1", "npy", "compressed-tensors"):
        assert perplexity(convert(source, layout)) == perplexity(source), layout


def test_a_bias_goes_along(convert, quantize):
    model = program.GOLDEN / "models" / "llama-mqa-bias"
    for options, layouts in ((STATIC, ("npy", "compressed-tensors")), (W8, ("gptq", "compressed-tensors"))):
        source = quantize(*options, model=model, calib=model / "input_ids.jsonl" if options == STATIC else None)
        for layout in layouts:
            back = convert(convert(source, layout), "ascend")
            assert any(name.endswith("q_proj.bias") for name in linear_tensors(back))
            if layout != "gptq":  # which holds biases in F16
                assert_same_linears(back, source)


def test_smoothed_norms_keep_their_copies(convert, quantize):
    source = quantize(*STATIC, "--do-smooth")
    back = convert(convert(source, "npy"), "ascend")
    left, right = checkpoint.read_folder(source), checkpoint.read_folder(back)
    assert left.keys() == right.keys()
    copies = [name for name in left if "norm.module." in name]
    assert len(copies) == 24
    for name in copies:
        assert np.array_equal(right[name].astype(np.float32), left[name].astype(np.float32)), name
    tags = json.loads((back / "quant_model_description_w8a8.json").read_text())
    assert {tags[name] for name in copies} == {"W8A8"}


def test_plain_floats_are_the_weights_that_codes_stand_for(convert, quantized):
    source, there = checkpoint.read_folder(quantized(W8)), checkpoint.read_folder(convert(quantized(W8), "dequantized"))
    name = "model.layers.3.mlp.up_proj.weight"
    part = [source[name + suffix].astype(np.float32) for suffix in ("", "_scale")]
    expected = part[0] * part[1]
    assert there[name].dtype == checkpoint.BF16 and np.array_equal(there[name], expected.astype(checkpoint.BF16))
    assert "quantization_config" not in config_of(convert(quantized(W8), "dequantized"))


# --- scales that F16 cannot hold -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def wide_scales(quantize, demo_model, tmp_path_factory):
    """An ascend folder with F32 scales."""
    tensors = checkpoint.read_folder(demo_model)
    model = checkpoint.write_float_folder(tmp_path_factory.mktemp("f32") / "model", demo_model, tensors, "float32")
    return quantize(*W4G, model=model, calib=None)


def test_rounded_scales_are_counted_and_their_effect_is_stated(pare, wide_scales, tmp_path):
    text = pare("convert", wide_scales, "--to", "gptq", "-o", tmp_path / "out").stdout.decode()
    source, out = checkpoint.read_folder(wide_scales), report(tmp_path / "out")
    count = changed = 0
    worst = difference = 0.0
    for name in [name for name in source if name.endswith(".weight_scale")]:
        exact = source[name].astype(np.float64)
        stored = source[name].astype(np.float16).astype(np.float64)
        count, changed = count + exact.size, changed + int((stored != exact).sum())
        worst = max(worst, np.abs(stored / exact - 1).max())
        codes = source[name.removesuffix("_scale")].astype(np.float64).reshape(*exact.shape, 64)
        difference = max(difference, (np.abs(codes).max(axis=2) * np.abs(stored - exact)).max())
    assert (out["scales"]["count"], out["scales"]["rounded"]) == (count, changed) and changed > count // 2
    assert out["scales"]["worst_relative_change"] == pytest.approx(worst, rel=1e-6) and worst <= 2**-11
    assert out["max_weight_difference"] == pytest.approx(difference, rel=1e-6)
    assert f"{changed} of {count} scales rounded to F16" in text and "from rounded scales" in text
    # The measure moves as little as the weights do.
    assert perplexity(tmp_path / "out") == pytest.approx(perplexity(wide_scales), rel=1e-3)


def test_compressed_tensors_keeps_wide_scales(convert, wide_scales):
    there = convert(wide_scales, "compressed-tensors")
    assert report(there)["max_weight_difference"] == 0
    assert checkpoint.read_folder(there)["model.layers.0.mlp.up_proj.weight_scale"].dtype == np.float32


@pytest.mark.parametrize("scale", [1e6, 1e-12])
def test_a_scale_outside_f16_is_refused(fails, wide_scales, tmp_path, scale):
    def change(tensors):
        tensors["model.layers.2.mlp.up_proj.weight_scale"][7, 1] = scale

    source = copy_with(wide_scales, tmp_path / "source", change)
    text = fails("E0502", 5, "convert", source, "--to", "gptq")
    assert "model.layers.2.mlp.up_proj, row 7, group 1" in text and "compressed-tensors" in text


# --- refusals --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, layout, says", [
    (W8, "autoawq", "--to ascend-v1, npy, compressed-tensors; with scales and float tensors in F16: --to gptq, gptq-v2"),
    (W4, "autoawq", "with scales and float tensors in F16: --to gptq, gptq-v2"),
    (STATIC, "gptq", "without loss: --to ascend-v1, npy, compressed-tensors"),
    (DYNAMIC, "autoawq", "without loss: --to ascend-v1, npy, compressed-tensors"),
    (("--scheme", "w4a8-dynamic", "--group-size", "64"), "npy", "without loss: --to ascend-v1"),
    (("--scheme", "w8a16", "--mm-tensor"), "gptq", "without loss: --to ascend-v1, npy")])
def test_no_place_for_a_scheme(fails, quantized, options, layout, says):
    text = fails("E0318", 4, "convert", quantized(options), "--to", layout)
    assert says in text and "--format" not in text and "model.layers.0.self_attn.q_proj" in text


def test_no_place_for_the_bias_of_a_norm(fails, quantize):
    source = quantize(*STATIC, "--do-smooth")
    text = fails("E0318", 4, "convert", source, "--to", "compressed-tensors")
    assert "model.layers.0.input_layernorm.bias" in text and "without loss: --to ascend-v1, npy" in text


def test_the_bias_of_a_norm_that_is_zero_is_left_out(pare, quantized, tmp_path):
    """What msModelSlim's smoothing without a shift leaves behind."""
    def change(tensors):
        tensors["model.layers.1.input_layernorm.bias"] = np.zeros(256, checkpoint.BF16)

    source = copy_with(quantized(W4G), tmp_path / "source", change)
    path = source / "quant_model_description_w4a16.json"
    tags = json.loads(path.read_text())
    path.chmod(0o600)
    path.write_text(json.dumps({**tags, "model.layers.1.input_layernorm.bias": "FLOAT"}))
    text = pare("convert", source, "--to", "autoawq", "-o", tmp_path / "out").stdout.decode()
    assert "left out model.layers.1.input_layernorm.bias: bias of a norm, all 0" in text
    assert report(tmp_path / "out")["coverage"]["tensors_dropped"] == 1


@pytest.fixture
def lowest_zero(quantized, tmp_path):
    """A folder with one zero point that is the lowest code."""
    def change(tensors):
        tensors["model.layers.4.self_attn.o_proj.weight_offset"][3, 2] = -8

    return copy_with(quantized(W4GA), tmp_path / "source", change)


def test_gptq_v1_has_no_place_for_the_lowest_zero(fails, pare, lowest_zero, tmp_path):
    text = fails("E0318", 4, "convert", lowest_zero, "--to", "gptq")
    assert "model.layers.4.self_attn.o_proj" in text and "row 3, group 2" in text and "--to gptq-v2" in text
    pare("convert", lowest_zero, "--to", "gptq-v2", "-o", tmp_path / "v2")
    assert report(tmp_path / "v2")["max_weight_difference"] == 0


def test_refitting_is_asked_for_and_stated(pare, lowest_zero, tmp_path):
    text = pare("convert", lowest_zero, "--to", "gptq", "--refit-zeros", "-o", tmp_path / "out").stdout.decode()
    assert report(tmp_path / "out")["refitted_groups"] == 1 and report(tmp_path / "out")["max_weight_difference"] > 0
    assert "1 groups" in text and "quantized again" in text


def shuffled_groups(folder, target):
    """A GPTQ folder in act-order: the groups of all columns of one linear exchanged."""
    def change(tensors):
        index = tensors["model.layers.0.mlp.up_proj.g_idx"]
        tensors["model.layers.0.mlp.up_proj.g_idx"] = np.random.default_rng(0).permutation(index)

    return copy_with(folder, target, change)


def test_act_order_has_a_place_in_few_layouts(convert, fails, pare, quantize, tmp_path):
    source = shuffled_groups(quantize(*W4G, "--format", "gptq", calib=None), tmp_path / "source")
    for layout in ("autoawq", "ascend", "ascend-v1"):
        text = fails("E0318", 4, "convert", source, "--to", layout)
        assert "act-order" in text and "without loss: --to gptq-v2, compressed-tensors" in text
    for layout in ("gptq-v2", "compressed-tensors"):
        pare("convert", source, "--to", layout, "-o", tmp_path / layout)
        pare("convert", tmp_path / layout, "--to", "gptq", "-o", tmp_path / f"{layout}-back")
        assert_same_linears(tmp_path / f"{layout}-back", source)


# --- what it is given, and what it leaves ----------------------------------------------------------------------------

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


def test_packed_folders_are_read_as_they_are(convert, pare, quantized, tmp_path):
    pare("compress", quantized(W4GA), "-o", tmp_path / "packed")
    pare("convert", tmp_path / "packed", "--to", "gptq", "-o", tmp_path / "out")
    assert_same_linears(tmp_path / "out", convert(quantized(W4GA), "gptq"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in convert(quantized(W4GA), "gptq").iterdir())


def test_shards_in_and_out(convert, quantize, quantized):
    source = quantize(*W4G, "--part-file-size", "0.001", calib=None)
    assert len(list(source.glob("*.safetensors"))) > 3
    there = convert(source, "gptq", "--part-file-size", "0.001")
    names = {path.name for path in there.glob("*.safetensors")}
    index = json.loads((there / "model.safetensors.index.json").read_text())
    assert len(names) > 3 and set(index["weight_map"].values()) == names
    assert set(index["weight_map"]) == set(checkpoint.read_folder(there))
    assert_same_linears(there, convert(quantized(W4G), "gptq"))
    assert not (convert(source, "gptq") / "model.safetensors.index.json").exists()  # one file needs none


def test_config_and_companions(convert, quantized, tmp_path):
    source = shutil.copytree(quantized(W4G), tmp_path / "source")
    for name in ("modeling_demo.py", "quantize_config.json", "generation_config.json"):
        (source / name).write_text("{}")
    (source / "config.json").write_text(json.dumps({**config_of(source), "compression_config": {"left": "over"}}))
    (source / "quantize_config.json").write_text("[]")
    there = convert(source, "gptq")
    config = config_of(there)
    assert config["quantization_config"] == json.loads((there / "quantize_config.json").read_text())
    assert (config["quantization_config"]["bits"], config["quantization_config"]["group_size"]) == (4, 64)
    assert config["torch_dtype"] == "float16" and not {"quantize", "compression_config"} & config.keys()
    for name in ("modeling_demo.py", "generation_config.json", "tokenizer.model"):
        if (source / name).is_file():
            assert (there / name).read_bytes() == (source / name).read_bytes()
    back = convert(there, "ascend")
    assert not (back / "quantize_config.json").exists() and not list(back.glob("*.index.json"))
    assert set(config_of(back)["quantization_config"]) == {"group_size", "kv_quant_type", "fa_quant_type"}
    assert "quantization_config" not in config_of(convert(there, "ascend-v1"))
    assert config_of(convert(there, "compressed-tensors"))["quantization_config"]["format"] == "pack-quantized"


def test_an_unknown_architecture_is_no_obstacle(convert, quantized, tmp_path):
    source = shutil.copytree(quantized(W4G), tmp_path / "source")
    (source / "config.json").write_text(json.dumps({**config_of(source), "model_type": "unheard", "architectures": ["Unheard"]}))
    assert_same_linears(convert(source, "autoawq"), convert(quantized(W4G), "autoawq"))


def test_any_number_of_threads_writes_the_same_files(pare, quantized, tmp_path):
    for threads in (1, 4):
        pare("convert", quantized(W4GA), "--to", "gptq", "-o", tmp_path / f"out-{threads}", "--threads", threads)
    assert (tmp_path / "out-1" / "model.safetensors").read_bytes() == (tmp_path / "out-4" / "model.safetensors").read_bytes()


def test_damaged_codes_are_found(fails, quantized, tmp_path):
    def change(tensors):
        tensors["model.layers.0.self_attn.q_proj.weight"][0, 0] = 9

    source = copy_with(quantized(W4G), tmp_path / "source", change)
    assert "more than 4 bits" in fails("E0207", 3, "convert", source, "--to", "gptq")


def test_events_and_text(pare, quantized, tmp_path):
    done = pare("convert", quantized(W4G), "--to", "gptq", "-o", tmp_path / "out", "--json")
    event = [json.loads(line) for line in done.stdout.decode().splitlines()][-1]
    assert event["event"] == "done" and (event["from"], event["to"]) == ("ascend", "gptq")
    assert event["linears"] == 42 and event["max_weight_difference"] == 0 and event["scales_rounded"] == 0
    text = pare("convert", quantized(W4G), "--to", "gptq-v2", "-o", tmp_path / "out2").stdout.decode()
    assert "42 linears and 15 float tensors" in text and "largest difference 0: every weight is the same" in text


def test_help(pare):
    text = " ".join(pare("convert", "--help").stdout.decode().split())
    for word in ("--to FORMAT", "--force", "--part-file-size", "--refit-zeros", "docs/converting.md"):
        assert word in text
    assert "convert" in pare("--help").stdout.decode() and "ms-to-vllm" in pare("--help").stdout.decode()


# --- the old command line --------------------------------------------------------------------------------------------

def files_of(folder):
    (weights,), (description,) = folder.glob("*.safetensors"), folder.glob("quant_model_description*.json")
    return "--model", weights, "--json", description


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
