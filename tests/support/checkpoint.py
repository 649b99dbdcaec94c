"""safetensors folders as numpy arrays, read and written without torch. BF16 is ml_dtypes.bfloat16."""
import json
import pathlib
import shutil
import struct

import ml_dtypes
import numpy as np

BF16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": BF16, "I64": np.dtype("<i8"),
          "I32": np.dtype("<i4"), "U32": np.dtype("<u4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
          "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn)}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
CONFIG_DTYPES = {"float32": DTYPES["F32"], "float16": DTYPES["F16"], "bfloat16": BF16}


def read_header(path):
    """The JSON header of one file, with the rules that every reader relies on checked: exact tiling, alignment, format pt."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data_size = path.stat().st_size - 8 - length
    assert length % 8 == 0, f"{path.name}: header of {length} bytes"
    assert header.pop("__metadata__", {}).get("format") == "pt", f"{path.name}: no format in __metadata__"
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        assert begin == end, f"{path.name}: {name} begins at {begin}, the tensor before ends at {end}"
        assert stop - begin == dtype.itemsize * int(np.prod(entry["shape"])), f"{path.name}: {name} has a wrong size"
        assert begin % dtype.itemsize == 0, f"{path.name}: {name} is not aligned"
        end = stop
    assert end == data_size, f"{path.name}: {data_size} bytes of data, {end} named"
    return header, 8 + length


def read_file(path):
    """{name: array} of one safetensors file."""
    path = pathlib.Path(path)
    header, start = read_header(path)
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=start) if header else None
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.array(data[begin:end]).view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def read_folder(folder):
    """{name: array} of every *.safetensors file in a folder; a name in two files is an error."""
    tensors = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        for name, array in read_file(path).items():
            assert name not in tensors, f"{name} is in two files"
            tensors[name] = array
    assert tensors, f"no safetensors in {folder}"
    return tensors


def write_file(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    for name, array in ordered:
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, array in ordered:
            file.write(np.ascontiguousarray(array).tobytes())


def write_float_folder(folder, source, tensors, dtype):
    """A float checkpoint: `tensors` in one dtype, config and tokenizer files of `source`. -> folder"""
    folder.mkdir(parents=True)
    for path in pathlib.Path(source).iterdir():
        if path.is_file() and path.suffix in (".json", ".model", ".txt") and not path.name.endswith(".index.json"):
            shutil.copyfile(path, folder / path.name)
    write_file(folder / "model.safetensors", {name: array.astype(CONFIG_DTYPES[dtype]) for name, array in tensors.items()})
    config = json.loads((folder / "config.json").read_text())
    for key in {"torch_dtype", "dtype"} & config.keys() or {"torch_dtype"}:
        config[key] = dtype
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    return folder


def model_dtype(folder):
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    return CONFIG_DTYPES[config.get("dtype") or config.get("torch_dtype")]


def linear_modules(tensors):
    """Names of the linears inside decoder blocks: every 2-D weight below `.layers.`."""
    return [name[:-len(".weight")] for name, array in tensors.items()
            if ".layers." in name and name.endswith(".weight") and array.ndim == 2]
