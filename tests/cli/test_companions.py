"""The files beside the weights: all of them come along, or are named as left out."""
import json
import os
import shutil

import pytest
from support import program

# Names that no list of names would have, and bytes that nobody may change.
OTHERS = {"Notice": b"notice\r\n", "License.md": b"# licence", "license.txt": b"terms", "COPYING": b"copying", "README.md": b"card\n", "modules.json": b"[]",
          "config_sentence_transformers.json": b"{}", "video_preprocessor_config.json": b"{}", "tekken.json": b"{}", "1_Pooling/config.json": b'{"pooling": 1}',
          "additional_chat_templates/tool_use.jinja": b"{{ x }}", "assets/logo.png": b"\x89PNG\r\n\x1a\n\0\0", "empty": b"", "naïve name.txt": b"x",
          "a/b/c/deep.txt": b"deep", "model_card.json": b"{", "vocab.bpe": b"x"}
FOREIGN = ["pytorch_model.bin", "consolidated.00.pth", "model.gguf", "onnx/model.onnx", "onnx/model.onnx_data", "tf_model.h5", "training_args.bin",
           "pytorch_model.bin.index.json", "optimizer.PT"]


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def crowded(demo_model, tmp_path):
    folder = shutil.copytree(demo_model, tmp_path / "model")
    write(folder, OTHERS)
    return folder


def left_out(folder):
    return {entry["name"]: entry["because"] for entry in json.loads((folder / "report.json").read_text())["files"]["left_out"]}


def assert_came_along(folder):
    for name, content in OTHERS.items():
        assert (folder / name).read_bytes() == content, name
        assert (folder / name).stat().st_mode & 0o777 == 0o640 and (folder / name).parent.stat().st_mode & 0o777 == 0o750


def test_quantize_and_convert_take_everything_along(pare, crowded, tmp_path):
    write(crowded, {name: b"weights" for name in FOREIGN})
    said = pare("quantize", crowded, "-o", tmp_path / "q", "--scheme", "w8a16").stdout.decode()
    assert "copied     22 files beside the weights: " in said
    assert_came_along(tmp_path / "q")
    names = left_out(tmp_path / "q")
    assert set(names) == set(FOREIGN) and all("tensors" in reason for reason in names.values())
    assert "left out   consolidated.00.pth, model.gguf, onnx/model.onnx" in said and "and 3 more" in said
    report = json.loads((tmp_path / "q" / "report.json").read_text())
    assert set(report["files"]["copied"]) >= set(OTHERS)
    pare("convert", tmp_path / "q", "--to", "gptq", "-o", tmp_path / "c")
    assert_came_along(tmp_path / "c")
    assert set(left_out(tmp_path / "c")) == {"recipe.yaml"}


def test_several_formats_get_them_each(pare, crowded, tmp_path):
    pare("quantize", crowded, "-o", tmp_path / "q", "--scheme", "w8a16", "--format", "ascend,gptq")
    for name in ("ascend", "gptq"):
        assert_came_along(tmp_path / "q" / name)


def test_a_plan_names_them(pare, crowded, tmp_path):
    said = pare("quantize", crowded, "--scheme", "w8a16", "--dry-run").stdout.decode()
    assert "copied     22 files" in said and "left out" not in said


def test_compress_gives_everything_back(pare, crowded, tmp_path):
    write(crowded, {name: b"weights" for name in FOREIGN})
    pare("compress", crowded, "-o", tmp_path / "p")
    assert_same = {name: content for name, content in OTHERS.items()}
    for name, content in assert_same.items():
        assert (tmp_path / "p" / name).read_bytes() == content
    pare("quantize", tmp_path / "p", "-o", tmp_path / "q", "--scheme", "w8a16")
    assert_came_along(tmp_path / "q")
    assert not (tmp_path / "q" / "pare_packed.json").exists() and not (tmp_path / "q" / "originals").exists()
    pare("decompress", tmp_path / "p", "-o", tmp_path / "d")
    for path in crowded.rglob("*"):
        if path.is_file():
            assert (tmp_path / "d" / path.relative_to(crowded)).read_bytes() == path.read_bytes()


def test_what_is_hidden_large_or_special_stays_and_is_named(pare, crowded, tmp_path):
    write(crowded, {".git/config": b"x", ".cache/huggingface/a": b"x", ".gitattributes": b"x", ".env": b"TOKEN"})
    with open(crowded / "movie.mp4", "wb") as file:
        file.truncate((128 << 20) + 1)
    os.mkfifo(crowded / "pipe")
    write(crowded / "older", {"report.json": b"{}", "config.json": b"{}", "model.txt": b"x"})
    write(crowded, {"quantize_config.json": b"{}", "hf_quant_config.json": b"{}", "extra.safetensors.txt": b"x"})
    pare("quantize", crowded, "-o", tmp_path / "q", "--scheme", "w8a16")
    names = left_out(tmp_path / "q")
    assert set(names) == {".git/", ".cache/", ".gitattributes", ".env", "movie.mp4", "pipe", "older/", "quantize_config.json", "hf_quant_config.json"}
    assert names["movie.mp4"] == "larger than 128 MiB" and names["older/"] == "an output of pare"
    for name in names:
        assert not (tmp_path / "q" / name).exists(), name
    assert (tmp_path / "q" / "extra.safetensors.txt").is_file()
    assert_came_along(tmp_path / "q")


def test_files_of_a_hub_cache_are_links(pare, crowded, tmp_path):
    """models--x/snapshots/REVISION holds links into models--x/blobs."""
    blobs, snapshot = tmp_path / "models--x" / "blobs", tmp_path / "models--x" / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in crowded.rglob("*") if path.is_file())):
        blob, link = blobs / f"{number:040x}", snapshot / path.relative_to(crowded)
        shutil.copyfile(path, blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    pare("quantize", snapshot, "-o", tmp_path / "q", "--scheme", "w8a16")
    assert_came_along(tmp_path / "q")
    assert left_out(tmp_path / "q") == {} and not any(path.is_symlink() for path in (tmp_path / "q").rglob("*"))


def test_other_links_that_lead_out_are_not_followed(pare, crowded, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("key")
    (crowded / "notes.txt").symlink_to(secret)
    (crowded / "folder").symlink_to(tmp_path)
    (crowded / "nowhere.json").symlink_to(tmp_path / "gone")
    (crowded / "inside.txt").symlink_to("Notice")
    (crowded / "tokenizer.model").rename(tmp_path / "elsewhere")
    (crowded / "tokenizer.model").symlink_to(tmp_path / "elsewhere")  # people do that, and everybody needs it
    done = pare("quantize", crowded, "-o", tmp_path / "q", "--scheme", "w8a16")
    assert set(left_out(tmp_path / "q")) == {"notes.txt", "folder", "nowhere.json"}
    assert "warning: nowhere.json does not come along: a link that leads nowhere" in done.stderr.decode()
    assert (tmp_path / "q" / "inside.txt").read_bytes() == OTHERS["Notice"] and not (tmp_path / "q" / "inside.txt").is_symlink()
    assert (tmp_path / "q" / "tokenizer.model").read_bytes() == (tmp_path / "elsewhere").read_bytes()


def test_a_pointer_of_git_lfs_is_not_the_file(pare, crowded, tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    (crowded / "assets" / "logo.png").write_text(pointer)
    done = pare("quantize", crowded, "-o", tmp_path / "q", "--scheme", "w8a16")
    assert "git lfs pull" in left_out(tmp_path / "q")["assets/logo.png"] and b"warning: assets/logo.png" in done.stderr
    assert not (tmp_path / "q" / "assets").exists()


def test_what_cannot_be_read_does_not_stop_the_run(pare, crowded, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (crowded / "README.md").chmod(0)
    done = pare("quantize", crowded, "-o", tmp_path / "q", "--scheme", "w8a16")
    assert left_out(tmp_path / "q") == {"README.md": "not readable"} and b"warning: README.md" in done.stderr


def test_an_output_inside_the_model_is_not_copied_into_itself(pare, crowded):
    for _ in range(2):
        pare("quantize", crowded, "-o", crowded / "out", "--scheme", "w8a16", "--force")
        assert not (crowded / "out" / "out").exists()
    assert left_out(crowded / "out") == {"out/": "an output of pare"}


def test_weights_that_no_index_names_are_named(pare, crowded, tmp_path):
    """Some folders hold a second copy of the weights, or an adapter."""
    names = program.run_json("inspect", crowded)["tensors"]
    index = {"metadata": {}, "weight_map": {tensor["name"]: "model-00001-of-00001.safetensors" for tensor in names}}
    (crowded / "model.safetensors").rename(crowded / "model-00001-of-00001.safetensors")
    (crowded / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copyfile(crowded / "model-00001-of-00001.safetensors", crowded / "consolidated.safetensors")
    pare("quantize", crowded, "-o", tmp_path / "q", "--scheme", "w8a16")
    assert left_out(tmp_path / "q") == {"consolidated.safetensors": "weights that were not read"}
    assert not (tmp_path / "q" / "model.safetensors.index.json").exists()
