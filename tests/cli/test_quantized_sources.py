"""Checkpoints that are quantized already: told by their configuration and by their tensors; FP8 blocks are read as bf16."""
import json

import ml_dtypes
import numpy as np
import pytest
from support import checkpoint, small_llama

BLOCK = 128
FP8 = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}
W4 = ("--scheme", "w4a16", "--group-size", 64)
UNKNOWN = dict(architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3")


def spread(scales, shape):
    """One scale for every weight."""
    return np.kron(scales.astype(np.float32), np.ones((BLOCK, BLOCK), np.float32))[: shape[0], : shape[1]]


def fp8_pair(scale_dtype=np.float32):
    """The tensors of a model in FP8 blocks, and those that it stands for, in bf16."""
    rng = np.random.default_rng(23)
    coded, floats = {}, {}
    for name, array in small_llama.tensors().items():
        if "_proj.weight" not in name:
            coded[name] = floats[name] = array.astype(ml_dtypes.bfloat16)
            continue
        scales = rng.uniform(1e-4, 3e-3, (-(-array.shape[0] // BLOCK), -(-array.shape[1] // BLOCK))).astype(scale_dtype)
        coded[name] = (array / spread(scales, array.shape)).clip(-448, 448).astype(ml_dtypes.float8_e4m3fn)
        coded[f"{name}_scale_inv"] = scales
        floats[name] = (coded[name].astype(np.float32) * spread(scales, array.shape)).astype(ml_dtypes.bfloat16)
    return coded, floats


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("scale_dtype", [np.float32, ml_dtypes.bfloat16])
def test_fp8_blocks_are_read_as_bf16(pare, tmp_path, known, scale_dtype):
    coded, floats = fp8_pair(scale_dtype)
    names = dict(torch_dtype="bfloat16", **({} if known else UNKNOWN))
    small_llama.write(tmp_path / "fp8", coded, quantization_config=FP8, **names)
    small_llama.write(tmp_path / "bf16", floats, **names)
    for model in ("fp8", "bf16"):
        pare("quantize", tmp_path / model, "-o", tmp_path / f"{model}-out", *W4, "--format", "gptq")
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "fp8-out" / file).read_bytes() == (tmp_path / "bf16-out" / file).read_bytes()


def test_fp8_blocks_run(pare, tmp_path):
    coded, floats = fp8_pair()
    small_llama.write(tmp_path / "fp8", coded, quantization_config=FP8, torch_dtype="bfloat16")
    small_llama.write(tmp_path / "bf16", floats, torch_dtype="bfloat16")
    ids = small_llama.write_ids(tmp_path / "ids.jsonl")
    for model in ("fp8", "bf16"):
        pare("eval", tmp_path / model, "--input-ids", ids, "--logits-to", tmp_path / f"{model}.npy")
        pare("quantize", tmp_path / model, "-o", tmp_path / f"{model}-out", "--scheme", "w8a8", "--calib", ids)
    assert np.array_equal(np.load(tmp_path / "fp8.npy"), np.load(tmp_path / "bf16.npy"))
    for path in (tmp_path / "bf16-out").glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "fp8-out" / path.name).read_bytes()


def drop_scale(tensors):
    tensors.pop("model.layers.0.mlp.up_proj.weight_scale_inv")


def other_scale(tensors):
    name = "model.layers.0.mlp.up_proj.weight_scale_inv"
    tensors[name] = np.concatenate([tensors[name]] * 2)


@pytest.mark.parametrize("damage", [drop_scale, other_scale])
def test_fp8_blocks_without_their_scales_are_refused(fails, tmp_path, damage):
    coded, _ = fp8_pair()
    damage(coded)
    model = small_llama.write(tmp_path / "model", coded, quantization_config=FP8, **UNKNOWN)
    assert "model.layers.0.mlp.up_proj.weight" in fails("E0207", 3, "quantize", model, *W4)


def integers(name, array):
    return {name: np.zeros((array.shape[0], array.shape[1] // 8), np.uint32), name[:-6] + "scales": np.ones((array.shape[0], 1), np.float32),
            name[:-6] + "biases": np.ones((array.shape[0], 1), np.float32)}


def codes_in(kind):
    """The linears of the blocks as another tool stores them."""
    made = {}
    for name, array in small_llama.tensors().items():
        if "_proj.weight" not in name:
            made[name] = array
        elif kind == "mlx":
            made |= integers(name, array)
        elif kind == "bitsandbytes":
            made |= {name: np.zeros((array.size // 2, 1), np.uint8), name + ".absmax": np.ones(array.size // 64, np.float32)}
        elif kind == "int8":
            made |= {name: np.zeros(array.shape, np.int8), name[:-6] + "SCB": np.ones(array.shape[0], np.float32)}
        elif kind == "fp8 per tensor":
            made |= {name: array.astype(ml_dtypes.float8_e4m3fn), name + "_scale": np.ones(1, np.float32)}
        elif kind == "nvfp4":
            made |= {name + "_packed": np.zeros((array.shape[0], array.shape[1] // 2), np.uint8), name + "_global_scale": np.ones(1, np.float32)}
        else:
            made[name] = array
    return made


STATED = {"mlx": dict(quantization={"group_size": 64, "bits": 4}), "bitsandbytes": dict(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
          "int8": dict(quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}),
          "fp8 per tensor": dict(quantization_config={"quant_method": "fp8", "activation_scheme": "static"}),
          "nvfp4": dict(quantization_config={"quant_method": "modelopt", "quant_algo": "NVFP4"}),
          "only said": dict(quantization_config={"quant_method": "hqq", "quant_config": {}})}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("kind", STATED)
def test_other_quantized_checkpoints_are_refused(fails, tmp_path, kind, known):
    model = small_llama.write(tmp_path / "model", codes_in(kind), **STATED[kind], **({} if known else UNKNOWN))
    text = fails("E0207", 3, "quantize", model, *W4)
    assert "quantized already" in text
    assert ("remove" in text) == (kind == "only said")


@pytest.mark.parametrize("kind", [kind for kind in STATED if kind != "only said"])
def test_tensors_alone_tell_as_much(fails, tmp_path, kind):
    model = small_llama.write(tmp_path / "model", codes_in(kind), **UNKNOWN)
    assert "quantized already" in fails("E0207", 3, "quantize", model, *W4)


def test_our_own_output_is_refused_with_what_would_help(pare, fails, tmp_path):
    model = small_llama.write(tmp_path / "model", **UNKNOWN)
    pare("quantize", model, "-o", tmp_path / "first", *W4, "--format", "gptq")
    assert "pare convert" in fails("E0207", 3, "quantize", tmp_path / "first", *W4)


def test_an_empty_quantization_config_means_nothing(pare, tmp_path):
    model = small_llama.write(tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "quantization_config": None}))
    pare("quantize", model, "-o", tmp_path / "out", *W4)


def test_written_types(pare, tmp_path):
    """Floats that stay are bf16, as the model is meant."""
    coded, floats = fp8_pair()
    model = small_llama.write(tmp_path / "fp8", coded, quantization_config=FP8, torch_dtype="bfloat16", **UNKNOWN)
    pare("quantize", model, "-o", tmp_path / "out", *W4, "--disable-names", "*layers.0*")
    name = "model.layers.0.mlp.up_proj.weight"
    written = checkpoint.read_folder(tmp_path / "out")
    assert np.array_equal(written[name].view(np.uint16), floats[name].view(np.uint16))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "weight_block_size" not in config["quantization_config"]


@pytest.mark.parametrize("kind", [*STATED, "fp8 blocks"])
def test_inspect_says_what_it_is(pare, tmp_path, kind):
    tensors, stated = (fp8_pair()[0], dict(quantization_config=FP8)) if kind == "fp8 blocks" else (codes_in(kind), STATED[kind])
    said = pare("inspect", small_llama.write(tmp_path / "model", tensors, **stated)).stdout.decode()
    assert ("read as bf16" if kind == "fp8 blocks" else "does not read") in said
