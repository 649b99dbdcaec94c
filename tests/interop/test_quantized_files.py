"""What `pare quantize` writes: files, names, tags, dtypes, shapes, permissions, and every integer computed again with numpy."""
import json
import stat

import numpy as np
import pytest
import safetensors

from support import arithmetic, checkpoint
from support.quantized_output import CASES, LINEAR_PARTS, NpyOutput, SafetensorsOutput, case

SAFETENSORS_LAYOUTS = ["ascend", "ascend-v1"]
STATIC = [c for c in CASES if c.static]
FUSED = [("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), ("mlp.gate_proj", "mlp.up_proj")]
COMPANIONS = ["generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_layout = pytest.mark.parametrize("layout", SAFETENSORS_LAYOUTS)


@pytest.fixture(scope="module")
def source(demo_model):
    return checkpoint.read_folder(demo_model)


@pytest.fixture
def written(quantize):
    """written(case, layout, *more options) -> the output, made once per session."""
    def make(case, layout, *options, **where):
        return SafetensorsOutput(quantize(*case.options, "--format", layout, *options, **where), case, layout)
    return make


@pytest.fixture
def written_npy(quantize):
    def make(case, *options, **where):
        return NpyOutput(quantize(*case.options, "--format", "npy", *options, **where), case)
    return make


def mode_of(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


# --- files -----------------------------------------------------------------------------------------------------------

@every_layout
@every_case
def test_file_names(written, case, layout):
    output = written(case, layout)
    names = {path.name for path in output.folder.iterdir()}
    assert {n for n in names if n.endswith(".safetensors")} == {output.weights_name}
    assert {n for n in names if n.startswith("quant_model_description")} == {output.description_name}
    assert not {n for n in names if n.endswith((".index.json", ".npy", ".bin"))}
    assert "report.json" in names and json.loads((output.folder / "report.json").read_text(encoding="utf-8"))
    assert not list(output.folder.parent.glob("*.tmp*")), "a temporary sibling was left"


@every_case
def test_npy_file_names(written_npy, case):
    output = written_npy(case)
    names = {path.name for path in output.folder.iterdir()}
    assert {n for n in names if n.endswith(".npy")} == output.expected_files()
    assert not {n for n in names if n.endswith(".safetensors")}


@pytest.mark.parametrize("layout", [*SAFETENSORS_LAYOUTS, "npy"])
def test_permissions(quantize, layout):
    folder = quantize(*case("w8a8-minmax").options, "--format", layout)
    assert mode_of(folder) == "0o750"
    weights = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".npy")]
    assert weights and {mode_of(path) for path in weights} == {"0o400"}
    descriptions = list(folder.glob("quant_model_description*.json"))
    assert descriptions or layout == "npy"
    assert all(mode_of(path) == "0o600" for path in descriptions)


@every_layout
def test_companion_files(written, demo_model, layout):
    folder = written(case("w8a8-minmax"), layout).folder
    for name in COMPANIONS:
        assert (folder / name).read_bytes() == (demo_model / name).read_bytes(), name
    before = json.loads((demo_model / "config.json").read_text())
    after = json.loads((folder / "config.json").read_text())
    assert {key: after.get(key) for key in before} == before


# --- description -----------------------------------------------------------------------------------------------------

@every_layout
@every_case
def test_description(written, case, layout):
    output = written(case, layout)
    keys = list(output.description)
    header = ["version", "model_quant_type"] if layout == "ascend-v1" else ["model_quant_type"]
    assert keys[:len(header)] == header
    assert output.description["model_quant_type"] == case.type
    assert output.description.get("version") == ("1.0.0" if layout == "ascend-v1" else None)
    if layout == "ascend-v1":
        assert output.description.get("group_size", 0) == case.group
    assert set(output.tags) == set(output.tensors)
    assert len(output.tags) == len(keys) - len([k for k in keys if k not in output.tags])


@every_layout
@every_case
def test_tags(written, source, case, layout):
    output = written(case, layout)
    linears = checkpoint.linear_modules(source)
    assert sorted(output.quantized_modules()) == sorted(linears)
    quantized = {f"{module}.{part}" for module in linears for part in ("weight", *case.parts)}
    assert {name for name, tag in output.tags.items() if tag != "FLOAT"} == quantized
    assert {output.tags[name] for name in quantized} == {case.type}
    assert set(output.tensors) - quantized == {n for n in source if n[:-len(".weight")] not in linears}


# --- dtypes and shapes -----------------------------------------------------------------------------------------------

@every_layout
@every_case
def test_dtypes_and_shapes(written, source, demo_model, case, layout):
    output, model_dtype = written(case, layout), checkpoint.model_dtype(demo_model)
    assert model_dtype == checkpoint.BF16
    for module in output.quantized_modules():
        rows, width = source[module + ".weight"].shape
        stored = list(output.tensors[module + ".weight"].shape)
        if output.packing_axis() is not None:
            stored[output.packing_axis()] *= 2
        assert stored == [rows, width], module
        for part in ("weight_scale", "weight_offset"):
            array = output.part(module, part)
            assert (array.dtype, array.shape) == (model_dtype, case.scale_shape(rows, width)), f"{module}.{part}"
        if case.static:
            check_static_types(output, module, rows, model_dtype, np.float32)


def check_static_types(output, module, rows, input_dtype, deq_dtype):
    for part in ("input_scale", "input_offset"):
        array = output.part(module, part)
        assert (array.dtype, array.shape) == (input_dtype, (1,)), f"{module}.{part}"
    bias, deq = output.part(module, "quant_bias"), output.part(module, "deq_scale")
    assert (bias.dtype, bias.shape) == (np.int32, (rows,)), module
    assert (deq.dtype, deq.shape) == (deq_dtype, (1,) if output.case.per_tensor else (rows,)), module


@every_layout
@every_case
def test_kept_tensors_are_the_source_bytes(written, source, case, layout):
    output = written(case, layout)
    for name, tag in output.tags.items():
        if tag == "FLOAT":
            assert output.tensors[name].dtype == source[name].dtype
            assert output.tensors[name].tobytes() == source[name].tobytes(), name


@every_layout
def test_the_safetensors_library_reads_the_files(written, layout):
    output = written(case("w8a8-minmax"), layout)
    with safetensors.safe_open(output.folder / output.weights_name, framework="np") as file:
        assert set(file.keys()) == set(output.tensors)
        assert file.metadata()["format"] == "pt"
        for name, array in output.tensors.items():
            if array.dtype != checkpoint.BF16:
                assert np.array_equal(file.get_tensor(name), array), name


# --- integers --------------------------------------------------------------------------------------------------------

def check_weight(output, weight, module, model_dtype):
    """Scales from the weight's extrema, codes from the stored scales: exact."""
    case = output.case
    weight = weight.astype(np.float32)
    scale, offset = (output.part(module, part).astype(np.float32) for part in ("weight_scale", "weight_offset"))
    columns = case.columns(weight.shape[1])
    exact, exact_offset, low = arithmetic.minmax_scale(weight, columns, case.bits, case.symmetric, case.per_tensor)
    cast = exact.astype(model_dtype).astype(np.float32)
    assert np.array_equal(scale, cast), f"{module}.weight_scale"
    if case.symmetric:
        assert not offset.any(), f"{module}.weight_offset"
    else:
        from_cast = arithmetic.zero_point(low, cast, case.bits)
        assert ((offset == exact_offset) | (offset == from_cast)).all(), f"{module}.weight_offset"
        assert offset.any()
    codes = output.codes(module)
    expected = arithmetic.quantize_codes(weight, scale, offset, case.bits, case.lowest)
    assert np.array_equal(codes, expected), f"{module}.weight: {(codes != expected).sum()} codes differ"


@every_layout
@every_case
def test_codes_and_scales(written, source, demo_model, case, layout):
    output = written(case, layout)
    for module in output.quantized_modules():
        check_weight(output, source[module + ".weight"], module, checkpoint.model_dtype(demo_model))


def check_static(output, module, bias):
    """deq_scale and quant_bias from what is stored beside them."""
    weight_scale, input_scale, input_offset = (
        output.part(module, part).astype(np.float32) for part in ("weight_scale", "input_scale", "input_offset"))
    assert input_scale[0] > 0
    assert input_offset[0] == np.rint(input_offset[0]) and -128 <= input_offset[0] <= 127
    deq = arithmetic.deq_scale_from_stored(output.part(module, "deq_scale"))
    assert np.array_equal(deq, (input_scale * weight_scale).reshape(-1)), f"{module}.deq_scale"
    stored, codes = output.part(module, "quant_bias"), output.codes(module)
    bias = None if bias is None else bias.astype(np.float32)
    choices = [arithmetic.quant_bias(bias, deq, input_offset, codes, dtype) for dtype in (np.float32, np.float64)]
    # The two precisions part only where a quotient is within rounding of a half.
    assert ((stored == choices[0]) | (stored == choices[1])).all(), f"{module}.quant_bias"


@every_layout
@pytest.mark.parametrize("case", STATIC, ids=str)
def test_static_algebra(written, case, layout):
    output = written(case, layout)
    for module in output.quantized_modules():
        check_static(output, module, None)


@pytest.mark.parametrize("case", STATIC, ids=str)
def test_fused_linears_share_their_input(written, case):
    output = written(case, "ascend")
    for layer in range(6):
        for members in FUSED:
            for part in ("input_scale", "input_offset"):
                values = {float(output.part(f"model.layers.{layer}.{member}", part)[0]) for member in members}
                assert len(values) == 1, f"layer {layer}: {members} differ in {part}"


def test_observers_differ(written):
    """min-max and histogram are two methods: most ranges must differ."""
    scales = [{m: float(written(case(name), "ascend").part(m, "input_scale")[0])
               for m in written(case(name), "ascend").quantized_modules()} for name in ("w8a8-minmax", "w8a8-histogram")]
    assert scales[0].keys() == scales[1].keys()
    assert sum(scales[0][m] != scales[1][m] for m in scales[0]) > len(scales[0]) // 2


def test_input_range_of_the_first_block(quantize, source, demo_model, demo_calib):
    """Running mean of every prompt's minimum and maximum, from token ids to input_scale, in numpy."""
    from support.tokenizer_judges import LibraryJudge

    folder = quantize(*case("w8a8-minmax").options, "--format", "ascend", "--compute", "f32")
    output = SafetensorsOutput(folder, case("w8a8-minmax"), "ascend")
    judge = LibraryJudge.from_file(demo_model / "tokenizer.json")
    prompts = [json.loads(line)["text"] for line in demo_calib.read_text(encoding="utf-8").splitlines() if line.strip()]
    embedding = source["model.embed_tokens.weight"].astype(np.float32)
    norm = source["model.layers.0.input_layernorm.weight"].astype(np.float32)
    ranges = []
    for prompt in prompts:
        x = embedding[judge.encode(prompt)]
        x = x / np.sqrt((x * x).mean(axis=1, keepdims=True) + np.float32(1e-5)) * norm
        ranges.append((x.min(), x.max()))
    low, high = np.mean(np.array(ranges, np.float64), axis=0)
    scale = (high - low) / 255
    module = "model.layers.0.self_attn.q_proj"
    assert float(output.part(module, "input_scale")[0]) == pytest.approx(scale, rel=2 ** -8)
    assert abs(float(output.part(module, "input_offset")[0]) - (np.rint(-low / scale) - 128)) <= 1


# --- the same numbers in every layout --------------------------------------------------------------------------------

@every_case
def test_ascend_v1_holds_what_ascend_holds(written, case):
    old, new = written(case, "ascend"), written(case, "ascend-v1")
    assert set(old.tensors) == set(new.tensors)
    packed = {module + ".weight" for module in new.quantized_modules()} if new.packing_axis() is not None else set()
    for name, array in old.tensors.items():
        if name not in packed:
            assert array.tobytes() == new.tensors[name].tobytes(), name
    for module in new.quantized_modules():
        assert np.array_equal(old.codes(module), new.codes(module)), module
    if packed:
        assert all(new.tensors[name].size * 2 == old.tensors[name].size for name in packed)


def same_values(array, expected):
    """npy has no bfloat16: such values are widened to float32, everything else keeps its dtype."""
    dtype = np.dtype(np.float32) if expected.dtype == checkpoint.BF16 else expected.dtype
    assert isinstance(array, np.ndarray) and array.dtype == dtype and array.shape == expected.shape
    return np.array_equal(array, expected.astype(dtype))


@every_case
def test_npy_holds_what_ascend_holds(written, written_npy, case):
    ascend, npy = written(case, "ascend"), written_npy(case)
    assert set(npy.quantized_modules()) == set(ascend.quantized_modules())
    for part in case.parts:
        assert set(npy.file(part)) == set(ascend.quantized_modules())
        assert all(same_values(array, ascend.part(module, part)) for module, array in npy.file(part).items()), part
    norms = {name for name in ascend.tensors if name.endswith(("norm.weight", "norm.bias"))}
    assert set(npy.file("anti_fp_norm")) == norms
    assert all(same_values(npy.file("anti_fp_norm")[name], ascend.tensors[name]) for name in norms)
    weights = {name[:-len(".weight")] for name in ascend.tensors if name.endswith(".weight") and name not in norms}
    assert set(npy.file("quant_weight")) == weights
    assert all(same_values(npy.file("quant_weight")[name], ascend.tensors[name + ".weight"]) for name in weights)


@pytest.mark.live
def test_npy_with_torch_values(written, quantize):
    import torch

    ascend = written(case("w8a8-minmax"), "ascend")
    npy = NpyOutput(quantize(*case("w8a8-minmax").options, "--format", "npy", "--npy-values", "torch"), ascend.case)
    for part in LINEAR_PARTS:
        for module, tensor in npy.file(part).items():
            expected = ascend.part(module, part)
            assert isinstance(tensor, torch.Tensor) and tuple(tensor.shape) == expected.shape
            bfloat16 = expected.dtype == checkpoint.BF16
            assert (tensor.dtype == torch.bfloat16) == bfloat16
            values = tensor.float().numpy() if bfloat16 else tensor.numpy()
            assert np.array_equal(values, expected.astype(values.dtype)), f"{module}.{part}"
    for module in ascend.quantized_modules():
        assert np.array_equal(npy.file("quant_weight")[module].numpy(), ascend.codes(module))


# --- other model dtypes ----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module", params=["float16", "float32"])
def other_dtype_model(request, source, demo_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / request.param
    return checkpoint.write_float_folder(folder, demo_model, source, request.param)


@pytest.mark.parametrize("name", ["w8a8-minmax", "w8a8-histogram", "w8a8-tensor"])
def test_static_in_other_dtypes(written, other_dtype_model, name):
    """deq_scale as I64 bits; parameters in the model's dtype, except that the histogram works in float32."""
    model, the_case = other_dtype_model, case(name)
    source, model_dtype = checkpoint.read_folder(model), checkpoint.model_dtype(model)
    output = written(the_case, "ascend", model=model)
    input_dtype = np.dtype(np.float32) if name == "w8a8-histogram" else model_dtype
    for module in output.quantized_modules():
        rows, width = source[module + ".weight"].shape
        check_static_types(output, module, rows, input_dtype, np.int64)
        for part in ("weight_scale", "weight_offset"):
            assert output.part(module, part).dtype == model_dtype
        check_weight(output, source[module + ".weight"], module, model_dtype)
        check_static(output, module, None)


@pytest.mark.parametrize("name", ["w8a8-dynamic", "w8a16-asym", "w4a16-g64"])
def test_weights_in_other_dtypes(written, other_dtype_model, name):
    model, the_case = other_dtype_model, case(name)
    source, model_dtype = checkpoint.read_folder(model), checkpoint.model_dtype(model)
    output = written(the_case, "ascend", model=model)
    for module in output.quantized_modules():
        assert output.part(module, "weight_scale").dtype == model_dtype
        check_weight(output, source[module + ".weight"], module, model_dtype)


# --- biases ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module", params=["llama-mqa-bias", "qwen2-window", "qwen2-tied"])
def model_with_biases(request):
    from support import program

    return program.GOLDEN / "models" / request.param


def biases_of(source):
    return {name[:-len(".bias")]: array for name, array in source.items() if name.endswith("_proj.bias")}


def test_biases(written, model_with_biases):
    """quant_bias contains the bias, and the bias stays beside it as FLOAT. Calibrated with token ids, no tokenizer."""
    model = model_with_biases
    source = checkpoint.read_folder(model)
    biases = biases_of(source)
    assert biases
    output = written(case("w8a8-minmax"), "ascend", model=model, calib=model / "input_ids.jsonl")
    for module in output.quantized_modules():
        check_weight(output, source[module + ".weight"], module, np.float32)
        check_static(output, module, biases.get(module))
        if module in biases:
            assert output.tags[module + ".bias"] == "FLOAT"
            assert output.part(module, "bias").tobytes() == biases[module].tobytes()
    sizes = [np.abs(biases[m] / arithmetic.deq_scale_from_stored(output.part(m, "deq_scale"))).max() for m in biases]
    assert min(sizes) > 100, "the biases are too small to be seen in quant_bias"


def test_npy_keeps_weight_and_bias(written_npy, model_with_biases):
    model = model_with_biases
    source = checkpoint.read_folder(model)
    output = written_npy(case("w8a8-minmax"), model=model, calib=model / "input_ids.jsonl")
    stored = output.file("quant_weight")
    for module, bias in biases_of(source).items():
        assert stored[module].dtype == np.int8 and stored[module].shape == source[module + ".weight"].shape
        assert np.array_equal(stored[module + ".bias"], bias)


# --- what stays float ------------------------------------------------------------------------------------------------

def test_disabled_names_stay_float(written, source):
    output = written(case("w8a8-minmax"), "ascend", "--disable-names", "model.layers.0.mlp.down_proj", "model.layers.1.*")
    quantized = set(output.quantized_modules())
    kept = set(checkpoint.linear_modules(source)) - quantized
    assert kept == {m for m in checkpoint.linear_modules(source)
                    if m == "model.layers.0.mlp.down_proj" or m.startswith("model.layers.1.")}
    for module in kept:
        assert [name for name in output.tensors if name.startswith(module + ".")] == [module + ".weight"]
        assert output.tensors[module + ".weight"].tobytes() == source[module + ".weight"].tobytes()
    assert set(output.tags) == set(output.tensors)


def test_the_last_linear_on_request(written, source, demo_model):
    output = written(case("w8a8-minmax"), "ascend", "--quantize-last-linear")
    assert set(output.quantized_modules()) == {*checkpoint.linear_modules(source), "lm_head"}
    check_weight(output, source["lm_head.weight"], "lm_head", checkpoint.model_dtype(demo_model))
    check_static(output, "lm_head", None)


# --- shards ----------------------------------------------------------------------------------------------------------

SHARD_GIB = 0.002


@every_layout
def test_shards(written, layout):
    whole = written(case("w8a8-minmax"), layout)
    output = written(case("w8a8-minmax"), layout, "--part-file-size", str(SHARD_GIB))
    files = sorted(output.folder.glob("*.safetensors"))
    count = len(files)
    assert count > 2
    expected = [f"{output.weights_prefix}-{k:05d}-of-{count:05d}.safetensors" for k in range(1, count + 1)]
    assert [path.name for path in files] == expected
    index = json.loads((output.folder / f"{output.weights_prefix}.safetensors.index.json").read_text())
    assert [path.name for path in output.folder.glob("*.index.json")] == [f"{output.weights_prefix}.safetensors.index.json"]
    held = {name: path.name for path in files for name in checkpoint.read_header(path)[0]}
    assert index["weight_map"] == held
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in output.tensors.values())
    for path in files:
        tensors = checkpoint.read_file(path)
        assert len(tensors) == 1 or sum(array.nbytes for array in tensors.values()) <= SHARD_GIB * 2 ** 30, path.name
        assert mode_of(path) == "0o400"
    assert whole.tensors.keys() == output.tensors.keys()
    assert all(array.tobytes() == output.tensors[name].tobytes() for name, array in whole.tensors.items())
    assert whole.description == output.description


@pytest.mark.parametrize("name", ["w8a8-dynamic", "w8a16", "w4a16-g64"])
def test_weights_need_no_calibration(written, name):
    """Data-free and calibrated runs write the same bytes where no activation parameter is stored."""
    with_data, without = written(case(name), "ascend"), written(case(name), "ascend", calib=None)
    assert with_data.description == without.description
    path = with_data.weights_name
    assert (with_data.folder / path).read_bytes() == (without.folder / path).read_bytes()


def test_the_same_bytes_for_any_thread_count(quantize):
    options = (*case("w8a8-minmax").options, "--format", "ascend")
    name = SafetensorsOutput("", case("w8a8-minmax"), "ascend").weights_name
    files = {n: (quantize(*options, "--threads", n) / name).read_bytes() for n in (1, 2, 7)}
    assert files[1] == files[2] == files[7]
