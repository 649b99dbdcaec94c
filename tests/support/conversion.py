"""What the tests of conversions share: schemes, and folders in any layout as arrays, copied and changed."""
import json
import shutil

import numpy as np

from support import checkpoint

W4G, W4GA = ("--scheme", "w4a16", "--group-size", "64"), ("--scheme", "w4a16", "--group-size", "64", "--asym")
W4G128, W4, W4A = ("--scheme", "w4a16", "--group-size", "128"), ("--scheme", "w4a16"), ("--scheme", "w4a16", "--asym")
W8, W8G, W8A = ("--scheme", "w8a16"), ("--scheme", "w8a16", "--group-size", "64"), ("--scheme", "w8a16", "--asym")
STATIC, DYNAMIC = ("--scheme", "w8a8"), ("--scheme", "w8a8-dynamic")


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


def copy_with_text(folder, target, name, change):
    """A copy of a folder whose JSON file `name` went through `change`, which may return another object. -> the copy"""
    shutil.copytree(folder, target)
    value = json.loads((target / name).read_text())
    value = change(value) or value
    (target / name).chmod(0o600)
    (target / name).write_text(json.dumps(value))
    return target


def description_of(folder):
    """The name of its quant_model_description*.json."""
    (path,) = folder.glob("quant_model_description*.json")
    return path.name


def files_of(folder):
    """The options of ms-to-vllm for a folder with one weight file."""
    (weights,) = folder.glob("*.safetensors")
    return "--model", weights, "--json", folder / description_of(folder)
