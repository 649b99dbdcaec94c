"""Random damage to small folders of every kind, through every verb: whatever the files say, the program ends with an answer or with one error of its own list, and never by a mistake of its own."""
import copy
import json
import math
import os
import random
import shutil
import struct

import pytest
import small_folders

RUNS = int(os.environ.get("PARE_MUTATIONS", "480"))
PARTS = 8
SEED = int(os.environ.get("PARE_MUTATION_SEED", "20"))
ENDINGS = {0, 2, 3, 4, 5, 6, 7}

VALUES = [None, True, False, 0, 1, -1, 9, 64, 1 << 31, 1 << 63, -(1 << 63), 10 ** 30, 0.5, -2.5, 1e308, 1e-320, math.nan, math.inf,
          "", "x", "1", "torch.float32", "\u0000", "\ud7ff" * 3, [], {}, [1], [None], ["x"], {"a": 1}, {"type": "x"}, [[[]]], [0] * 9]
KINDS = {"float": (), "ascend": ("--scheme", "w8a16"), "ascend-v1": ("--scheme", "w4a16", "--group-size", "32"),
         "npy": ("--scheme", "w8a16"), "gptq": ("--scheme", "w4a16", "--group-size", "32"), "autoawq": ("--scheme", "w4a16", "--group-size", "32"),
         "compressed-tensors": ("--scheme", "w4a16", "--group-size", "32"), "gguf": ("--scheme", "w4a16", "--group-size", "32")}


@pytest.fixture(scope="module")
def sources(pare, tmp_path_factory):
    """{kind: folder}, and a folder of data."""
    place = tmp_path_factory.mktemp("sources")
    made = {"float": small_folders.write_model(place / "float")}
    for kind, options in KINDS.items():
        if kind == "float":
            continue
        made[kind] = place / kind
        pare("quantize", made["float"], "-o", made[kind], "--format", kind, *options)
    made["static"] = place / "static"
    data = place / "data"
    data.mkdir()
    (data / "ids.jsonl").write_text("".join(json.dumps({"input_ids": list(range(first, first + 30))}) + "\n" for first in (3, 11)))
    (data / "texts.jsonl").write_text('{"text": "abc def"}\n{"text": "xyz", "n": 1}\n')
    (data / "texts.json").write_text('[{"text": "abc def"}, {"question": "a", "passage": "b"}]')
    (data / "texts.csv").write_text("text,n\nabc,1\n")
    (data / "text.txt").write_text("abcdefgh\n" * 60)
    (data / "recipe.yaml").write_text("scheme: w4a16\ngroup_size: 32\ndisable_names: [\"*.down_proj\"]\n")
    pare("quantize", made["float"], "-o", made["static"], "--scheme", "w8a8", "--calib", data / "ids.jsonl")
    for kind in ("float", "gptq", "npy"):
        made[f"{kind}, packed"] = place / f"{kind}-packed"
        pare("compress", made[kind], "-o", made[f"{kind}, packed"])
    return made, data


def places_in(value, path=()):
    """Every place of a JSON document, as the keys that lead there."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from places_in(member, (*path, key))


def changed_json(dice, document):
    if dice.random() < 0.1:
        return copy.deepcopy(dice.choice(VALUES))
    document = copy.deepcopy(document)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        path = dice.choice([path for path in places_in(document) if path] or [()])
        if not path:
            return document
        holder = document
        for key in path[:-1]:
            holder = holder[key]
        what = dice.randrange(4)
        if what == 0:
            del holder[path[-1]]
        elif what == 1 and isinstance(holder, dict):
            holder[dice.choice(("x", "weight_map", "metadata", "bits", "type", "0"))] = holder.pop(path[-1])
        else:
            holder[path[-1]] = copy.deepcopy(dice.choice(VALUES))
    return document


def changed_bytes(dice, data):
    data = bytearray(data)
    what = dice.randrange(4)
    if what == 0 or not data:
        return bytes(data[:dice.randrange(len(data) + 1)])
    if what == 1:
        return bytes(data) + dice.randbytes(dice.randrange(1, 40))
    for _ in range(dice.choice((1, 1, 3, 20))):
        data[dice.randrange(min(len(data), dice.choice((16, 400, len(data)))))] = dice.randrange(256)
    return bytes(data)


def changed_header(dice, data):
    """A safetensors file whose header is another one."""
    (length,) = struct.unpack("<Q", data[:8])
    text = json.dumps(changed_json(dice, json.loads(data[8:8 + length])), separators=(",", ":")).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + data[8 + length:]


def damage(dice, path):
    data = path.read_bytes()
    what = dice.randrange(13)
    if what == 0:
        path.unlink()
        return "removed"
    if what == 1:
        path.unlink()
        path.mkdir()
        return "made a folder"
    if what == 2:
        path.write_bytes(small_folders.LFS_POINTER)
        return "made a pointer"
    if what == 3:
        path.unlink()
        path.symlink_to(path.name)
        return "made a link to itself"
    if path.suffix == ".json" and what < 10:
        path.write_text(json.dumps(changed_json(dice, json.loads(data)), indent=dice.choice((None, 2))), errors="replace")
        return "changed as JSON"
    if path.suffix == ".safetensors" and what < 9:
        path.write_bytes(changed_header(dice, data))
        return "changed in its header"
    path.write_bytes(changed_bytes(dice, data))
    return "changed in its bytes"


def command(dice, folder, data, out):
    """One of all verbs, for this folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    model = dice.choice(files) if files and dice.random() < 0.06 else folder
    calib = dice.choice([data / name for name in ("ids.jsonl", "texts.jsonl", "texts.json", "texts.csv", "text.txt")])
    layout = dice.choice([kind for kind in KINDS if kind != "float"] + ["gptq-v2", "dequantized"])
    measure = ("--ppl", data / "text.txt", "--context", "16", "--windows", "1")
    description = next(iter(folder.glob("quant_model_description*.json")), folder / "quant_model_description.json")
    return dice.choice((
        ("inspect", model), ("inspect", model, "--scan", "--names", "--json"), ("check", model), ("check", model, "--json"),
        ("quantize", model, "-o", out, "--scheme", dice.choice(("w8a16", "w8a8-dynamic")), "--format", layout),
        ("quantize", model, "-o", out, "--recipe", data / "recipe.yaml", "--format", layout),
        ("quantize", model, "-o", out, "--scheme", "w8a8", "--calib", calib),
        ("quantize", model, "-o", out, "--scheme", "w8a8s", "--do-smooth", "--calib", calib, "--dry-run"),
        ("convert", model, "--to", layout, "-o", out), ("convert", model, "--to", layout, "-o", out),
        ("compress", model, "-o", out), ("decompress", model, "-o", out),
        ("eval", model, *measure), ("compare", model, model, *measure), ("generate", model, "--prompt", "abc", "--max-new-tokens", "2"),
        ("tokenize", model, data / "text.txt"), ("export-dat", model, "-o", out),
        ("ms-to-vllm", "--model", model, "--json", description, "--save-path", out, "--target-tool", dice.choice(("awq", "gptq"))),
    ))


@pytest.mark.parametrize("part", range(PARTS))
def test_no_input_ends_in_a_mistake_of_our_own(pare, sources, tmp_path, part):
    made, data = sources
    kinds = sorted(made)
    for number in range(part, RUNS, PARTS):
        dice = random.Random(SEED * 1_000_003 + number)
        kind = dice.choice(kinds)
        folder, inputs = tmp_path / "model", tmp_path / "data"
        shutil.copytree(made[kind], folder)
        shutil.copytree(data, inputs)
        where = inputs if dice.random() < 0.1 else folder
        paths = sorted(path for path in where.rglob("*") if path.is_file())
        path = dice.choice(paths + [path for path in paths if path.name == "config.json"] * 3)
        what = f"run {number}: {kind}: {path.name} {damage(dice, path)}"
        arguments = command(dice, folder, inputs, tmp_path / "out")
        done = pare(*arguments, exit_code=None, timeout=120)
        said = done.stderr.decode(errors="replace")
        assert done.returncode in ENDINGS and "E0999" not in said, f"{what}: {arguments}: exit {done.returncode}: {said[-800:]}"
        assert done.returncode == 0 or "error[E" in said or arguments[0] == "check", f"{what}: {arguments}: failed without a word"
        for left in (folder, inputs, tmp_path / "out"):
            shutil.rmtree(left, ignore_errors=True)
        assert list(tmp_path.iterdir()) == [], f"{what}: {arguments}: left {list(tmp_path.iterdir())}"
