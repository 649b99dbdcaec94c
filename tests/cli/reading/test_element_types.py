"""Element types that Pare cannot compute with: `inspect` names them, packing keeps their bytes."""
import json

import numpy as np
import pytest
import small_folders
from small_folders import raw

# name, bits: what the safetensors library has beside the types that Pare computes with
TYPES = [("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8), ("F8_E4M3", 8),
         ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("I16", 16), ("U16", 16), ("I32", 32), ("U32", 32),
         ("C64", 64), ("F64", 64), ("I64", 64), ("U64", 64)]
SPARSE = np.random.default_rng(3)


def some_bytes(count, sparse):
    """Bytes that coding saves on, or ones that it does not."""
    data = SPARSE.integers(0, 256, count, dtype=np.uint8)
    return (data & 0x03 if sparse else data).tobytes()


def typed(prefix="x."):
    tensors = {}
    for name, bits in TYPES:
        tensors[f"{prefix}{name}.coded"] = raw(name, (64, 128), some_bytes(64 * 128 * bits // 8, True))
        tensors[f"{prefix}{name}.plain"] = raw(name, (4, 8), some_bytes(4 * 8 * bits // 8, False))
    return tensors


def round_trip(pare, folder, tmp_path, *options):
    pare("compress", folder, "-o", tmp_path / "packed", *options)
    pare("decompress", tmp_path / "packed", "-o", tmp_path / "again")
    assert small_folders.contents(tmp_path / "again") == small_folders.contents(folder)
    return tmp_path / "packed"


def shown(pare, folder):
    facts = json.loads(pare("inspect", folder, "--json").stdout)
    return {tensor["name"]: (tensor["dtype"], tensor["shape"]) for tensor in facts["tensors"]}, facts


@pytest.mark.parametrize("tier", ["dense", "fast"])
def test_every_type_is_shown_and_packed(pare, tmp_path, tier):
    tensors = typed()
    model = small_folders.write_model(tmp_path / "model", tensors)
    names, facts = shown(pare, model)
    assert names == {name: (dtype, shape) for name, (dtype, shape, _) in tensors.items()}
    assert facts["bytes"] == sum(len(data) for _, _, data in tensors.values())
    packed = round_trip(pare, model, tmp_path, "--tier", tier)
    assert shown(pare, packed)[0] == names
    assert shown(pare, packed)[1]["bytes"] == facts["bytes"]
    saved = (model / "model.safetensors").stat().st_size / (packed / "model.safetensors").stat().st_size
    assert saved > 1.3, saved


def test_a_model_with_a_few_such_tensors(pare, tmp_path):
    extra = {"model.layers.0.mlp.experts.0.w1.scale": raw("F8_E8M0", (4, 4), b"\x78" * 16),
             "model.layers.0.mlp.experts.0.w1.blocks": raw("F4", (4, 8), bytes(range(16)))}
    model = small_folders.write_model(tmp_path / "model", {**small_folders.weights(), **extra},
                                      model_type="deepseek_v4", architectures=["DeepseekV4ForCausalLM"])
    text = pare("inspect", model).stdout.decode()
    assert "1 x F4 (16 bytes)" in text and "1 x F8_E8M0 (16 bytes)" in text, text
    round_trip(pare, model, tmp_path)


@pytest.mark.parametrize("name, data", [("F2", bytes(7)), ("MXINT8", bytes(range(256)) * 8), ("Q4_NEXT_1", b"")])
def test_a_type_of_the_future_is_bytes(pare, tmp_path, name, data):
    shape = (0, 3) if not data else (4, len(data) // 4)
    tensors = {**small_folders.weights(), "extra.blocks": raw(name, shape, data)}
    model = small_folders.write_model(tmp_path / "model", tensors, model_type="other")
    assert shown(pare, model)[0]["extra.blocks"] == (name, list(shape))
    packed = round_trip(pare, model, tmp_path)
    assert shown(pare, packed)[0]["extra.blocks"] == (name, list(shape))


def test_no_number_is_taken_from_such_a_tensor(fails, tmp_path):
    for number, dtype in enumerate(("F8_E8M0", "NEWTYPE")):
        tensors = small_folders.weights()
        rows, columns = tensors["lm_head.weight"].shape
        tensors["lm_head.weight"] = raw(dtype, (rows, columns), bytes(rows * columns))
        model = small_folders.write_model(tmp_path / f"model{number}", tensors)
        assert "lm_head.weight" in fails("E0207", 3, "quantize", model, "--scheme", "w8a16")


@pytest.mark.parametrize("layout", ["ascend", "gptq", "compressed-tensors"])
def test_tensors_beside_the_linears_are_copied(pare, tmp_path, layout):
    extra = {"extra.scale": raw("F8_E8M0", (4, 4), b"\x78" * 16), "extra.table": raw("U16", (3,), bytes(range(6))),
             "extra.pair": raw("F6_E2M3", (8,), bytes(range(6))), "extra.next": raw("NEWTYPE", (3,), bytes(range(5)))}
    model = small_folders.write_model(tmp_path / "model", {**small_folders.weights(), **extra}, model_type="other")
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", layout)
    names, _ = shown(pare, tmp_path / "out")
    for name, (dtype, shape, data) in extra.items():
        assert names[name] == (dtype, shape)
        assert any(data in file.read_bytes() for file in (tmp_path / "out").glob("*.safetensors")), name


@pytest.mark.parametrize("dtype, shape, size", [("F4", (3,), 1), ("F4", (3,), 2), ("F6_E3M2", (2,), 1), ("F4", (4, 4), 9),
                                                ("NEWTYPE", (1 << 40,), 8), ("NEWTYPE", (1 << 40, 1 << 40), 8)])
def test_sizes_that_cannot_be(fails, tmp_path, dtype, shape, size):
    model = small_folders.write_model(tmp_path / "model", {"a": raw(dtype, shape, bytes(size))})
    fails("E0204", 3, "compress", model)
    fails("E0204", 3, "inspect", model, out=False)


@pytest.mark.parametrize("dtype", ["", "bf16", "F8 E4M3", "F" * 33, "\u001b[2J"])
def test_what_can_be_no_name_of_a_type(fails, tmp_path, dtype):
    model = small_folders.write_model(tmp_path / "model", {"a": raw(dtype, (2,), bytes(2))})
    fails("E0210", 3, "inspect", model, out=False)


@pytest.mark.parametrize("settings, said", [
    ({"quant_method": "mxfp4", "modules_to_not_convert": []}, "mxfp4"),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
    ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized", "config_groups": {"group_0": {
        "targets": ["Linear"], "weights": {"num_bits": 4, "type": "float", "group_size": 16, "strategy": "tensor_group"}}}}, "compressed-tensors"),
    ({"quant_method": "gptq", "bits": 3}, "gptq"),
    ({"bits": 4, "group_size": 64}, "quantization_config"),
], ids=["mxfp4", "bitsandbytes", "nvfp4", "gptq-3", "nameless"])
def test_a_quantized_format_that_is_not_read_is_shown_and_packed(pare, tmp_path, settings, said):
    tensors = {"model.layers.0.mlp.up_proj.weight": raw("U8", (64, 32), some_bytes(64 * 32, True)),
               "model.layers.0.mlp.up_proj.weight_scale": raw("F8_E4M3", (64, 4), some_bytes(64 * 4, True))}
    model = small_folders.write_model(tmp_path / "model", {**small_folders.weights(), **tensors},
                                      model_type="other", quantization_config=settings)
    text = pare("inspect", model).stdout.decode()
    assert said in text and "could be quantized" not in text, text
    assert shown(pare, model)[0]["model.layers.0.mlp.up_proj.weight_scale"] == ("F8_E4M3", [64, 4])
    round_trip(pare, model, tmp_path)


def test_a_gguf_file_without_its_model_is_shown(pare, tmp_path):
    model = small_folders.write_model(tmp_path / "model")
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w4a16", "--group-size", "32", "--format", "gguf")
    (tmp_path / "out" / "config.json").unlink()
    for given in (tmp_path / "out", tmp_path / "out" / "model.gguf"):
        names, facts = shown(pare, given)
        assert names["blk.0.ffn_up.weight"] == ("Q4_0", [small_folders.INNER, small_folders.HIDDEN])
        assert names["output_norm.weight"] == ("F32", [small_folders.HIDDEN])
        assert "config.json" in facts["quantized"] and "linears" not in facts


def test_a_file_that_is_named_twice_cannot_be_shown(fails, pare, tmp_path):
    model = small_folders.write_model(tmp_path / "model")
    out = tmp_path / "out"
    pare("quantize", model, "-o", out, "--scheme", "w8a16", "--format", "gguf")
    (out / "again.gguf").write_bytes((out / "model.gguf").read_bytes())
    assert "in another file too" in fails("E0213", 3, "inspect", out, out=False)
