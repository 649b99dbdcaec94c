"""`pare quantize --format a,b`: a folder for each format, all from the same codes."""
import json

import numpy as np
import pytest
from support import checkpoint, program

F32_MODEL = program.PROJECT_ROOT / "tests" / "golden" / "models" / "llama-gqa"
W4 = ("--scheme", "w4a16", "--group-size", "32")
TOGETHER = ("ascend-v1", "gptq", "autoawq", "compressed-tensors", "dequantized")


@pytest.fixture
def together(quantize):
    return quantize(*W4, "--format", ",".join(TOGETHER), calib=None)


def files_of(folder):
    """Every file but the report and the recipe, which tell what the run was asked for."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name not in ("report.json", "recipe.yaml")}


def test_every_format_gets_a_complete_folder_of_its_own(pare, together):
    assert sorted(path.name for path in together.iterdir()) == sorted((*TOGETHER, "report.json"))
    listed = json.loads((together / "report.json").read_text())["outputs"]
    assert [(entry["format"], entry["folder"]) for entry in listed] == [(name, name) for name in TOGETHER]
    for name in TOGETHER:
        assert json.loads((together / name / "report.json").read_text())["format"] == name
        assert (together / name / "tokenizer.model").is_file()


@pytest.mark.parametrize("layout", ["ascend-v1", "compressed-tensors", "dequantized"])
def test_a_folder_is_the_one_that_its_format_alone_would_give(quantize, together, layout):
    alone = quantize(*W4, "--format", layout, calib=None)
    assert files_of(together / layout) == files_of(alone)


@pytest.mark.parametrize("layout", ["gptq", "autoawq"])
def test_the_codes_are_the_same_in_every_folder(pare, together, layout, tmp_path):
    """In bf16 scales of the others; alone, these formats would have made codes with scales in f16."""
    pare("convert", together / "ascend-v1", "--to", layout, "-o", tmp_path / "converted")
    assert files_of(together / layout) == files_of(tmp_path / "converted")


def test_scales_of_an_f32_model_are_exact_in_every_folder(quantize):
    both = quantize(*W4, "--format", "ascend,gptq", model=F32_MODEL, calib=None)
    scales = {name: array for name, array in checkpoint.read_folder(both / "ascend").items() if name.endswith("weight_scale")}
    assert scales and all(array.dtype == np.float32 and (array == array.astype(np.float16)).all() for array in scales.values())
    assert files_of(both / "gptq") == files_of(quantize(*W4, "--format", "gptq", model=F32_MODEL, calib=None))


def test_smoothing_leaves_no_bias_where_one_format_has_no_place(quantize):
    options = ("--scheme", "w8a8", "--do-smooth", "--smooth-alpha", "0.5")
    both = quantize(*options, "--format", "ascend-v1,compressed-tensors")
    assert files_of(both / "compressed-tensors") == files_of(quantize(*options, "--format", "compressed-tensors"))
    names = checkpoint.read_folder(both / "ascend-v1")
    assert not [name for name in names if name.endswith("layernorm.bias")]
    assert "model.layers.0.input_layernorm.bias" in checkpoint.read_folder(quantize(*options, "--format", "ascend-v1"))


def test_a_packed_folder_and_force_work_as_with_one_format(pare, together, tmp_path):
    pare("compress", together / "gptq", "-o", tmp_path / "packed")
    pare("quantize", F32_MODEL, "-o", tmp_path / "out", *W4, "--format", "gptq,ascend")
    pare("quantize", F32_MODEL, "-o", tmp_path / "out", *W4, "--format", "autoawq, ascend-v1", "--force")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ascend-v1", "autoawq", "report.json"]


@pytest.mark.parametrize("formats, options, exit_code, says", [
    ("ascend,gptq", ("--scheme", "w8a8-dynamic"), 4, "format gptq"), ("ascend,gptq,ascend", W4, 2, "format ascend is given twice"),
    ("ascend,gpqt", W4, 2, 'did you mean "gptq"?'), ("ascend,", W4, 2, 'format ""'),
    ("gptq,autoawq", ("--scheme", "w4a16"), 4, "--group-size")])
def test_one_format_that_cannot_refuses_the_whole_run(pare, demo_model, tmp_path, formats, options, exit_code, says):
    text = pare("quantize", demo_model, "-o", tmp_path / "out", *options, "--format", formats, exit_code=exit_code).stderr.decode()
    assert says in text and not list(tmp_path.iterdir())


def test_the_folder_around_them_is_no_model(pare, together, demo_text):
    text = pare("eval", together, "--ppl", demo_text, exit_code=3).stderr.decode()
    assert "models lie in subfolders" in text and "ascend-v1, autoawq, compressed-tensors, dequantized, gptq" in text
