"""Git LFS pointers, which `git clone` leaves where large files should be: recognised in every file that is read, named when copied."""
import json
import shutil

import pytest
import small_folders
from small_folders import LFS_POINTER


@pytest.fixture
def model(tmp_path):
    return small_folders.write_model(tmp_path / "model")


def says_pointer(text, name):
    assert f"{name} is a Git LFS pointer" in text and "git lfs pull" in text, text


def quantized(pare, model, out, *options):
    pare("quantize", model, "-o", out, *options)
    return out


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "model.safetensors.index.json"])
def test_files_of_the_model(fails, model, name):
    (model / name).write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "quantize", model, "--scheme", "w8a16"), name)
    says_pointer(fails("E0214", 3, "inspect", model, out=False), name)


def test_one_of_several_shards(fails, model):
    shutil.move(model / "model.safetensors", model / "model-00001-of-00002.safetensors")
    (model / "model-00002-of-00002.safetensors").write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "quantize", model, "--scheme", "w8a16"), "model-00002-of-00002.safetensors")
    says_pointer(fails("E0214", 3, "compress", model), "model-00002-of-00002.safetensors")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "merges.txt"])
def test_files_of_the_tokenizer(fails, model, name):
    if name not in ("tokenizer.json", "tokenizer_config.json"):
        whole = json.loads((model / "tokenizer.json").read_text())
        (model / "tokenizer.json").unlink()
        (model / "tokenizer_config.json").unlink()
        if name != "tokenizer.model":
            (model / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
            (model / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]))
            (model / "merges.txt").write_text("#version: 0.2\n")
    (model / name).write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "tokenize", model, model / "config.json", out=False), name)


@pytest.mark.parametrize("name", ["calib.jsonl", "calib.json", "calib.csv", "calib.txt"])
def test_calibration_data(fails, model, tmp_path, name):
    (tmp_path / name).write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "quantize", model, "--scheme", "w8a8", "--calib", tmp_path / name), name)


def test_texts_and_recipes(fails, model, tmp_path):
    for name in ("text.txt", "recipe.yaml"):
        (tmp_path / name).write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "eval", model, "--ppl", tmp_path / "text.txt", out=False), "text.txt")
    says_pointer(fails("E0214", 3, "quantize", model, "--recipe", tmp_path / "recipe.yaml"), "recipe.yaml")


def test_quantized_files(pare, fails, model, tmp_path):
    gguf = quantized(pare, model, tmp_path / "gguf", "--scheme", "w8a16", "--format", "gguf")
    (gguf / "model.gguf").write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "eval", gguf, "--ppl", model / "config.json", out=False), "model.gguf")
    npy = quantized(pare, model, tmp_path / "npy", "--scheme", "w8a16", "--format", "npy")
    name = sorted(path.name for path in npy.glob("*.npy"))[0]
    (npy / name).write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "convert", npy, "--to", "ascend"), name)
    ascend = quantized(pare, model, tmp_path / "ascend", "--scheme", "w8a16")
    description = next(ascend.glob("quant_model_description*.json"))
    description.write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "convert", ascend, "--to", "gptq"), description.name)


def test_a_tokenizer_that_gguf_needs(fails, model):
    small_folders.write_tokenizer(model, byte_fallback=True)
    (model / "tokenizer.model").write_bytes(LFS_POINTER)
    says_pointer(fails("E0214", 3, "quantize", model, "--scheme", "w8a16", "--format", "gguf"), "tokenizer.model")


@pytest.mark.parametrize("begin", ["version https://git-lfs.github.com/spec/v1", "version https://hawser.github.com/spec/v1"])
def test_a_companion_is_named_and_not_copied(pare, model, tmp_path, begin):
    pointer = LFS_POINTER.replace(LFS_POINTER.split(b"\n")[0], begin.encode())
    (model / "tokenizer.model").write_bytes(pointer)
    done = pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "ascend,gptq").stderr.decode()
    assert "tokenizer.model does not come along: a Git LFS pointer" in done and "git lfs pull" in done
    assert done.count("Git LFS") == 1
    assert not (tmp_path / "out" / "gptq" / "tokenizer.model").exists()


def test_packing_keeps_a_pointer_and_says_so(pare, model, tmp_path):
    (model / "tokenizer.model").write_bytes(LFS_POINTER)
    (model / "quant_model_description.json").write_bytes(LFS_POINTER)
    said = pare("compress", model, "-o", tmp_path / "packed").stderr.decode()
    says_pointer(said, "tokenizer.model")
    says_pointer(said, "quant_model_description.json")
    pare("decompress", tmp_path / "packed", "-o", tmp_path / "again")
    assert small_folders.contents(tmp_path / "again") == small_folders.contents(model)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer.model", "merges.txt", "x.tiktoken"])
def test_check_names_them(pare, model, name):
    (model / name).write_bytes(LFS_POINTER)
    assert "Git LFS pointer" in pare("check", model, exit_code=4).stdout.decode()


def test_a_long_text_that_begins_like_a_pointer_is_a_text(pare, model, tmp_path):
    (tmp_path / "calib.txt").write_bytes(LFS_POINTER * 20)
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", tmp_path / "calib.txt")
