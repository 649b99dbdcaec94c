"""A weight file in place of its folder: every verb takes it where it is the whole model, and none takes it for half of one."""
import json
import os
import shutil

import pytest
import small_folders


@pytest.fixture
def model(tmp_path):
    return small_folders.write_model(tmp_path / "model")


@pytest.fixture
def ids(tmp_path):
    path = tmp_path / "ids.jsonl"
    path.write_text("".join(json.dumps({"input_ids": list(range(first, first + 40))}) + "\n" for first in (3, 11, 19)))
    return path


def same_files(one, other):
    """The same but for reports, which hold times."""
    found = [{name: data for name, data in small_folders.contents(folder).items() if not name.endswith("report.json")} for folder in (one, other)]
    assert found[0] == found[1]


def test_verbs_that_write(pare, model, tmp_path, ids):
    for place, given in (("a", model), ("b", model / "model.safetensors")):
        out = tmp_path / place
        out.mkdir()
        pare("quantize", given, "-o", out / "gptq", "--scheme", "w8a16", "--format", "gptq")
        pare("quantize", given, "-o", out / "w8a8", "--scheme", "w8a8", "--calib", ids, "--compute", "f32")
        pare("compress", given, "-o", out / "packed")
        file = out / "gptq" if place == "a" else out / "gptq" / "model.safetensors"
        pare("convert", file, "--to", "compressed-tensors", "-o", out / "ct")
        file = out / "packed" if place == "a" else out / "packed" / "model.safetensors"
        pare("decompress", file, "-o", out / "unpacked")
    same_files(tmp_path / "a", tmp_path / "b")


def test_verbs_that_look(pare, model, tmp_path):
    file = model / "model.safetensors"
    (tmp_path / "text.txt").write_text("abcdefghij" * 40)
    measure = ("--ppl", tmp_path / "text.txt", "--context", 32, "--compute", "f32")
    for verb, options in (("inspect", ()), ("tokenize", (tmp_path / "text.txt",)), ("generate", ("--prompt", "abc", "--max-new-tokens", 4)),
                          ("check", ())):
        assert pare(verb, model, *options, exit_code=None).stdout == pare(verb, file, *options, exit_code=None).stdout, verb
    assert json.loads(pare("eval", model, *measure, "--json").stdout)["perplexity"] == json.loads(
        pare("eval", file, *measure, "--json").stdout)["perplexity"]
    pare("compare", model, file, *measure)


def test_a_name_without_a_folder_and_a_link(pare, model, tmp_path, monkeypatch):
    monkeypatch.chdir(model)
    pare("quantize", "model.safetensors", "-o", tmp_path / "out", "--scheme", "w8a16")
    linked = tmp_path / "snapshot"
    linked.mkdir()
    for path in model.iterdir():
        os.symlink(path, linked / path.name)
    pare("quantize", linked / "model.safetensors", "-o", tmp_path / "out2", "--scheme", "w8a16")
    same_files(tmp_path / "out", tmp_path / "out2")


def test_an_index_stands_for_its_shards(pare, model, tmp_path):
    shutil.move(model / "model.safetensors", model / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(small_folders.weights(), "model-00001-of-00001.safetensors")}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    for number, name in enumerate(("model.safetensors.index.json", "model-00001-of-00001.safetensors")):
        pare("quantize", model / name, "-o", tmp_path / f"out{number}", "--scheme", "w8a16")


def test_a_gguf_file(pare, model, tmp_path):
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "gguf")
    assert pare("inspect", tmp_path / "out" / "model.gguf").stdout == pare("inspect", tmp_path / "out").stdout
    pare("convert", tmp_path / "out" / "model.gguf", "--to", "gptq", "-o", tmp_path / "gptq")


def verbs(file, tmp_path):
    (tmp_path / "text.txt").write_text("abc" * 100)
    measure = ("--ppl", tmp_path / "text.txt")
    return [("quantize", file, "--scheme", "w8a16"), ("compress", file), ("convert", file, "--to", "gptq"), ("decompress", file),
            ("eval", file, *measure), ("compare", file, file, *measure), ("generate", file, "--prompt", "a"), ("check", file),
            ("tokenize", file, tmp_path / "text.txt")]


def refused_by_all(fails, file, tmp_path):
    for verb, *arguments in verbs(file, tmp_path):
        writes = verb in ("quantize", "compress", "convert", "decompress")
        text = fails("E0201", 3, verb, *arguments, out=None if writes else False)
        assert "not a folder" in text and "config.json" in text, text


def test_a_file_without_its_config(fails, model, tmp_path):
    (model / "config.json").unlink()
    refused_by_all(fails, model / "model.safetensors", tmp_path)


def test_one_file_of_several(fails, model, tmp_path):
    shutil.copy(model / "model.safetensors", model / "other.safetensors")
    refused_by_all(fails, model / "other.safetensors", tmp_path)


def test_a_shard(fails, model, tmp_path):
    tensors = small_folders.weights()
    names = sorted(tensors)
    (model / "model.safetensors").unlink()
    for number in (0, 1):
        part = {name: tensors[name] for name in names[number::2]}
        (model / f"model-0000{number + 1}-of-00002.safetensors").write_bytes(small_folders.safetensors(part))
    refused_by_all(fails, model / "model-00001-of-00002.safetensors", tmp_path)


def test_some_other_file(fails, model, tmp_path):
    refused_by_all(fails, model / "config.json", tmp_path)


def test_inspect_shows_any_file_by_itself(pare, model, tmp_path):
    shutil.copy(model / "model.safetensors", tmp_path / "alone.safetensors")
    facts = json.loads(pare("inspect", tmp_path / "alone.safetensors", "--json").stdout)
    assert len(facts["tensors"]) == len(small_folders.weights()) and facts["problem"] == "no config.json"


def test_the_hint_for_several_files_works(pare, fails, model, tmp_path):
    shutil.move(model / "model.safetensors", model / "one.safetensors")
    shutil.copy(model / "one.safetensors", model / "two.safetensors")
    assert "leave the ones that are meant" in fails("E0205", 3, "quantize", model, "--scheme", "w8a16")
    (model / "two.safetensors").unlink()
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16")


@pytest.mark.parametrize("text", ["9", "[]", '"x"', "null", "true", "1.5", "NaN", '[{"a": 1}]'])
def test_a_config_that_is_no_object(pare, fails, model, tmp_path, text):
    pare("quantize", model, "-o", tmp_path / "ascend", "--scheme", "w8a16")
    for folder in (model, tmp_path / "ascend"):
        (folder / "config.json").write_text(text)
    fails("E0402", 3, "quantize", model, "--scheme", "w8a16")
    fails("E0402", 3, "convert", tmp_path / "ascend", "--to", "ascend-v1")
    fails("E0402", 3, "convert", tmp_path / "ascend", "--to", "gptq")
    pare("inspect", model)
    pare("inspect", tmp_path / "ascend")
    pare("check", model, exit_code=4)


def test_names_that_no_system_takes(pare, fails, model, tmp_path):
    fails("E0202", 3, "quantize", model / ("n" * 300), "--scheme", "w8a16")
    fails("E0202", 3, "quantize", model, "--scheme", "w8a16", out=tmp_path / ("n" * 300))
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("config.json")
    fails("E0202", 3, "quantize", model, "--scheme", "w8a16")
    fails("E0202", 3, "inspect", model, out=False)
