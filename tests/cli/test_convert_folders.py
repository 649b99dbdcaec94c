"""The folders that `pare convert` writes are complete, and hold nothing stale."""
import json
import shutil

import pytest
from support import checkpoint, program
from support.conversion import W4G, assert_same_linears, config_of, copy_with_text, description_of


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


# --- every layout that there is --------------------------------------------------------------------------------------

COMPANIONS = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
              "merges.txt", "tokenizer.model", "spiece.model", "qwen.tiktoken", "chat_template.jinja", "chat_template.json",
              "preprocessor_config.json", "processor_config.json", "configuration_demo.py", "modeling_demo.py", "tokenization_demo.py",
              "quantization.py", "LICENSE", "LICENSE.txt", "NOTICE"]
# What the folder of a float model, or of another program, may have left beside the weights.
STALE = ["model.safetensors.index.json", "pytorch_model.bin.index.json", "pytorch_model.bin", "consolidated.00.pth", "adapter.pt", "tf_model.h5",
         "flax_model.msgpack", "model.gguf", "hf_quant_config.json", "report.json"]
# The keys of config.json that tell how the weights are quantized, by layout; None = no key may be there.
METHODS = {"ascend": None, "ascend-v1": None, "npy": None, "autoawq": "awq", "gptq": "gptq", "gptq-v2": "gptq", "compressed-tensors": "compressed-tensors",
           "gguf": None, "dequantized": None}


def layouts():
    return [exporter["id"] for exporter in program.run_json("list", "exporters")["exporters"]]


@pytest.fixture(scope="module")
def crowded(quantize, tmp_path_factory):
    """An Ascend folder with every companion, and with what must not come along. One companion is a link, as in a hub's cache."""
    source = shutil.copytree(quantize(*W4G, calib=None), tmp_path_factory.mktemp("crowded") / "source")
    for name in COMPANIONS:
        if not (source / name).exists():
            # A GGUF file holds the tokenizer, so its JSON is read and must be some.
            (source / name).write_text("{}\n" if name.endswith(".json") else f"content of {name}\n")
    for name in STALE:
        (source / name).write_text('{"weight_map": {"model.norm.weight": "model.safetensors"}}')
    target = source.parent / "blob"
    (source / "added_tokens.json").rename(target)
    (source / "added_tokens.json").symlink_to(target)
    config = {**config_of(source), "compression_config": {"left": "over"}, "own_key": [1, {"kept": None}], "dtype": "bfloat16"}
    (source / "config.json").write_text(json.dumps(config))
    return source


def try_convert(folder, layout, out, *options):
    """Whether the layout has a place for the folder; any failure but a refusal is one of the test."""
    done = program.run("convert", folder, "--to", layout, "-o", out, *options, exit_code=None)
    assert done.returncode in (0, 4), done.stderr.decode()
    assert out.exists() == (done.returncode == 0)
    return done.returncode == 0


@pytest.fixture(scope="module")
def converted(crowded, tmp_path_factory):
    """{layout: folder} of every layout that takes the crowded one; all known ones must."""
    made = {}
    for layout in layouts():
        out = tmp_path_factory.mktemp("folders") / layout
        if try_convert(crowded, layout, out):
            made[layout] = out
    assert set(METHODS) <= set(made)
    return made


def test_every_companion_comes_along(crowded, converted):
    for layout, folder in converted.items():
        if layout not in METHODS and not (folder / "config.json").is_file():
            continue  # a layout of one file, which holds what others keep beside it
        for name in COMPANIONS:
            assert (folder / name).read_bytes() == (crowded / name).read_bytes(), (layout, name)
            assert not (folder / name).is_symlink()


def test_nothing_stale_comes_along(crowded, converted):
    for layout, folder in converted.items():
        names = {path.name for path in folder.iterdir()}
        stale = set(STALE) - {"report.json", "model.gguf" if layout == "gguf" else ""} | ({description_of(crowded)} if layout not in ("ascend", "npy") else set())
        assert not names & stale, (layout, names & stale)
        assert "weight_map" not in (folder / "report.json").read_text()


def test_every_file_has_a_reason(crowded, converted):
    """Nothing but weights, the description of the layout, companions, config.json and the report."""
    own = {"ascend": {"quant_model_weight_w4a16.safetensors", "quant_model_description_w4a16.json"},
           "ascend-v1": {"quant_model_weight_w4a16.safetensors", "quant_model_description.json"},
           "npy": {"quant_weight.npy", "anti_fp_norm.npy", "weight_scale.npy", "weight_offset.npy", "quant_model_description_w4a16.json"},
           "autoawq": {"model.safetensors"}, "gptq": {"model.safetensors", "quantize_config.json"},
           "gptq-v2": {"model.safetensors", "quantize_config.json"}, "compressed-tensors": {"model.safetensors"}, "dequantized": {"model.safetensors"}}
    for layout, files in own.items():
        names = {path.name for path in converted[layout].iterdir()}
        assert names == files | set(COMPANIONS) | {"config.json", "report.json"}, layout


def test_config_says_how_the_weights_are_quantized(crowded, converted):
    for layout, method in METHODS.items():
        config, before = config_of(converted[layout]), config_of(crowded)
        assert config.get("quantization_config", {}).get("quant_method") == method, layout
        assert "compression_config" not in config and ("quantize" in config) == (layout == "ascend"), layout
        changed = {"quantization_config", "compression_config", "quantize"} | ({"torch_dtype", "dtype"} if method in ("awq", "gptq") else set())
        rest = {key: value for key, value in before.items() if key not in changed}
        assert {key: value for key, value in config.items() if key not in changed} == rest, layout
    for layout in ("gptq", "gptq-v2"):
        same = json.loads((converted[layout] / "quantize_config.json").read_text())
        assert config_of(converted[layout])["quantization_config"] == same
        assert same["checkpoint_format"] == layout.replace("-", "_") and same["desc_act"] is False and same["sym"] is True
    awq = config_of(converted["autoawq"])["quantization_config"]
    assert awq == {"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": 64, "zero_point": True, "modules_to_not_convert": None}
    ct = config_of(converted["compressed-tensors"])["quantization_config"]
    assert ct["format"] == "pack-quantized" and ct["ignore"] == ["lm_head"]


@pytest.mark.parametrize("keys", [("torch_dtype",), ("dtype",), ("torch_dtype", "dtype"), ()], ids=["torch_dtype", "dtype", "both", "none"])
def test_the_type_is_stated_under_the_key_that_was_there(pare, quantized, tmp_path, keys):
    def change(config):
        config.pop("torch_dtype")
        config.update(dict.fromkeys(keys, "bfloat16"))

    source = copy_with_text(quantized(W4G), tmp_path / "source", "config.json", change)
    for layout, dtype in (("autoawq", "float16"), ("gptq", "float16"), ("compressed-tensors", "bfloat16"), ("ascend-v1", "bfloat16")):
        pare("convert", source, "--to", layout, "-o", tmp_path / layout)
        found = {key: value for key, value in config_of(tmp_path / layout).items() if key in ("torch_dtype", "dtype")}
        expected = keys or (("torch_dtype",) if dtype == "float16" else ())
        assert found == dict.fromkeys(expected, dtype), layout
        floats = {array.dtype for name, array in checkpoint.read_folder(tmp_path / layout).items() if "norm" in name}
        assert floats == {checkpoint.CONFIG_DTYPES[dtype]}, layout


def check_weight_files(folder, several):
    """Headers hold format pt; the index says what is where, and there is none for one file."""
    indices = list(folder.glob("*.index.json"))
    files = {path.name: checkpoint.read_file(path) for path in sorted(folder.glob("*.safetensors"))}
    assert (len(files) > 3) == several
    if not several:
        assert not indices
        return
    (index,) = indices
    content = json.loads(index.read_text())
    assert content["weight_map"] == {name: file for file, tensors in files.items() for name in tensors}
    assert content["metadata"]["total_size"] == sum(array.nbytes for tensors in files.values() for array in tensors.values())
    stem = index.name.removesuffix(".safetensors.index.json")
    assert list(files) == [f"{stem}-{k:05d}-of-{len(files):05d}.safetensors" for k in range(1, len(files) + 1)]


def test_the_index_is_made_from_what_was_written(crowded, converted, tmp_path):
    for exporter in program.run_json("list", "exporters")["exporters"]:
        layout = exporter["id"]
        if layout not in METHODS or "part_file_size" not in {param["name"] for param in exporter["params"]}:
            continue
        check_weight_files(converted[layout], several=False)
        assert try_convert(crowded, layout, tmp_path / layout, "--part-file-size", "0.001")
        check_weight_files(tmp_path / layout, several=True)


def test_configurations_of_other_layouts_go(convert, pare, quantized, tmp_path):
    """From GPTQ, whose quantize_config.json other loaders would believe, and with AutoAWQ's own file beside it."""
    source = shutil.copytree(convert(quantized(W4G), "gptq"), tmp_path / "source")
    (source / "quant_config.json").write_text('{"zero_point": true, "q_group_size": 32, "w_bit": 4, "version": "GEMM"}')
    for layout in METHODS:
        pare("convert", source, "--to", layout, "-o", tmp_path / layout)
        names = {path.name for path in (tmp_path / layout).glob("*quant*_config.json")} | {path.name for path in (tmp_path / layout).glob("quantize*")}
        assert names == ({"quantize_config.json"} if layout.startswith("gptq") else set()), layout
