"""`pare compress`, `pare decompress` and reading packed folders, from the outside."""
import hashlib
import json
import os
import resource
import shutil
import subprocess

import numpy as np
import pytest
from interop import codec_numpy
from support import checkpoint, program

TINY = program.GOLDEN / "models" / "llama-gqa"


def listed(kind):
    return [entry["id"] for entry in program.run_json("list", kind)[kind]]


def contents(folder):
    """{relative name: (SHA-256, permissions)} of every file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode & 0o777)
    return found


@pytest.fixture(scope="module")
def packed(pare, tmp_path_factory):
    """packed(folder, *options) -> the packed folder; the same request runs once."""
    made = {}

    def run(folder, *options):
        key = (str(folder), *options)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("packed") / "out"
            pare("compress", folder, "-o", made[key], *options)
        return made[key]

    return run


@pytest.fixture
def tiny_quantized(quantize):
    def run(*options):
        return quantize(*options, model=TINY, calib=TINY / "input_ids.jsonl")

    return run


@pytest.mark.parametrize("tier", ("dense", "fast"))
def test_every_scheme_in_every_layout_comes_back_byte_for_byte(pare, tiny_quantized, tmp_path, tier):
    tried = []
    for layout in listed("exporters"):
        for scheme in listed("schemes"):
            try:
                out = tiny_quantized("--scheme", scheme, "--format", layout)
            except AssertionError as refused:
                assert "exit code 4" in str(refused), refused  # the layout has no place for the scheme
                continue
            name = f"{layout}-{scheme}"
            if layout == "gguf":
                refused = pare("compress", out, "-o", tmp_path / "no", exit_code=4).stderr.decode()
                assert "compress the folder it was made from" in refused and not (tmp_path / "no").exists()
                continue
            tried.append(name)
            pare("compress", out, "-o", tmp_path / f"p-{name}", "--tier", tier)
            pare("decompress", tmp_path / f"p-{name}", "-o", tmp_path / f"back-{name}")
            assert contents(tmp_path / f"back-{name}") == contents(out), name
    assert len(tried) >= 12, tried


@pytest.mark.parametrize("options", [("--format", "npy", "--npy-values", "torch"), ("--format", "ascend", "--part-file-size", "0.0005")])
def test_torch_values_and_shards_come_back_byte_for_byte(pare, demo_model, packed, quantize, tmp_path, options):
    out = quantize("--scheme", "w8a16", *options, calib=None)
    pare("decompress", packed(out), "-o", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(out)


def test_a_float_checkpoint_with_other_files_comes_back(pare, demo_model, tmp_path):
    model = shutil.copytree(demo_model, tmp_path / "model")
    (model / "sub" / "deeper").mkdir(parents=True)
    (model / "sub" / "deeper" / "notes.txt").write_text("dear")
    (model / ".hidden").write_bytes(b"\0\1")
    (model / "empty.bin").write_bytes(b"")
    (model / "plain.npy").write_bytes(b"\x93NUMPY\x01\x00 not a dictionary")
    (model / "model.safetensors").rename(tmp_path / "elsewhere")
    (model / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    (model / ".hidden").chmod(0o604)
    pare("compress", model, "-o", tmp_path / "packed")
    pare("decompress", tmp_path / "packed", "-o", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(model)


@pytest.mark.parametrize("options", [("--scheme", "w8a8"), ("--scheme", "w4a16", "--group-size", "64", "--format", "ascend-v1"),
                                     ("--scheme", "w8a8", "--format", "npy"), ("--scheme", "w8a16", "--part-file-size", "0.002"),
                                     ("--scheme", "w4a16", "--group-size", "64", "--format", "gptq")])
def test_a_packed_folder_is_read_like_the_original(pare, packed, quantize, demo_text, options):
    out = quantize(*options)
    text = ("--ppl", demo_text, "--context", "128", "--windows", "3")
    measured = [program.run_json("eval", folder, *text) for folder in (out, packed(out))]
    for result in measured:
        for key in ("model", "seconds", "peak_rss_bytes", "tokens_per_second"):
            result.pop(key, None)
    assert measured[0] == measured[1]
    compared = program.run_json("compare", out, packed(out), *text)
    assert compared["kl_max"] == 0 and compared["perplexity_ratio"] == 1
    say = ("--prompt", "It was late", "--max-new-tokens", "12", "--seed", "3")
    assert pare("generate", out, *say).stdout == pare("generate", packed(out), *say).stdout


def test_quantizing_a_packed_checkpoint_gives_the_same_files(pare, demo_model, packed, quantize, demo_calib, tmp_path):
    out = quantize("--scheme", "w8a8")
    pare("quantize", packed(demo_model), "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", demo_calib)
    same = {name for name in contents(out) if name not in ("report.json",)}
    again = contents(tmp_path / "out")
    assert {name: contents(out)[name] for name in same} == {name: again[name] for name in same}


def test_inspect_says_that_a_folder_is_packed(pare, packed, quantize):
    out = quantize("--scheme", "w8a8")
    found = json.loads(pare("inspect", packed(out), "--json").stdout)
    plain = json.loads(pare("inspect", out, "--json").stdout)
    assert plain["packed"] is None
    sizes = [sum(p.stat().st_size for p in folder.glob("*.safetensors")) for folder in (out, packed(out))]
    assert [found["packed"]["original_bytes"], found["packed"]["packed_bytes"]] == sizes
    for key in ("tensors", "parameters", "bytes", "model"):
        assert found[key] == plain[key]
    assert "packed" in pare("inspect", packed(out)).stdout.decode()
    npy = quantize("--scheme", "w8a8", "--format", "npy")
    assert "packed" in pare("inspect", packed(npy)).stdout.decode()


def test_a_packed_folder_is_valid_and_names_its_types(packed, quantize):
    folder = packed(quantize("--scheme", "w8a8"))
    tensors = checkpoint.read_file(folder / "quant_model_weight_w8a8.safetensors")
    description = json.loads((folder / "quant_model_description_w8a8.json").read_text())
    assert description["metadata"]["codec"] == "pare"
    name = "model.layers.0.mlp.up_proj"
    assert description[f"{name}.weight"] == "W8A8+PARE1" and description[f"{name}.index"] == "PARE1"
    assert tensors[f"{name}.weight"].dtype == np.uint8 and tensors[f"{name}.weight"].ndim == 1
    assert tensors[f"{name}.index"].shape == (5, 2)  # 640 x 256 bytes are five tiles of 32 KiB
    stored = {key for key in tensors if not key.startswith("pare.")}
    assert stored == {key for key, value in description.items() if isinstance(value, str) and key != "model_quant_type"}


@pytest.mark.parametrize(("layout", "ending"), [("ascend-v1", ".weight"), ("gptq", ".qweight")])
def test_codes_that_share_a_byte_are_coded_one_by_one(packed, quantize, layout, ending):
    out = quantize("--scheme", "w4a16", "--group-size", "64", "--format", layout, calib=None)
    (file,) = packed(out).glob("*.safetensors")
    tensors = checkpoint.read_file(file)
    name = f"model.layers.0.mlp.up_proj{ending}"
    stem = name.removesuffix(".weight")
    stream = codec_numpy.Stream(*(tensors[part].tobytes() for part in (f"{stem}.info", f"{stem}.index", name)))
    assert stream.transform == 1 and stream.bytes == 640 * 256 // 2


def test_sparser_weights_compress_better_and_the_ratio_is_told(pare, quantize, tmp_path):
    out = quantize("--scheme", "w8a8")
    done = pare("compress", out, "-o", tmp_path / "p", "--json", "--verbose")
    events = [json.loads(line) for line in done.stdout.decode().splitlines()]
    last = events[-1]
    size = {p.name: p.stat().st_size for p in (tmp_path / "p").iterdir() if p.is_file()}
    weights = "quant_model_weight_w8a8.safetensors"
    assert last["event"] == "done" and last["to"] == size[weights] and last["from"] == (out / weights).stat().st_size
    assert last["ratio"] == pytest.approx(last["to"] / last["from"]) and last["ratio"] < 0.92
    tensors = [event for event in events if event["event"] == "tensor"]
    assert sum(t["coded"] for t in tensors) == last["coded"] and len(tensors) == last["tensors"]
    sparse = pare("compress", out, "-o", tmp_path / "s", "--pseudo-sparse", "0.3", "--seed", "4", "--json")
    assert b"CHANGE" in sparse.stderr.upper()
    assert json.loads(sparse.stdout.splitlines()[-1])["to"] < 0.8 * last["to"]
    back = pare("decompress", tmp_path / "s", "-o", tmp_path / "back")
    assert b"changed weights" in back.stderr
    masked, plain = (checkpoint.read_file(folder / weights) for folder in (tmp_path / "back", out))
    for name, tensor in plain.items():
        if tensor.dtype == np.int8 and tensor.ndim == 2:
            assert ((masked[name] == tensor) | (masked[name] == 0)).all() and (masked[name] != 0).mean() < 0.32
        else:
            assert (masked[name] == tensor).all()
    pare("compress", out, "-o", tmp_path / "same", "--pseudo-sparse", "0.3", "--seed", "4")
    assert (tmp_path / "same" / weights).read_bytes() == (tmp_path / "s" / weights).read_bytes()


def test_named_layers_stay_as_they_are(pare, quantize, tmp_path):
    out = quantize("--scheme", "w8a8")
    pare("compress", out, "-o", tmp_path / "p", "--compress-disable-layers", "*.down_proj", "model.embed_tokens.weight")
    weights = "quant_model_weight_w8a8.safetensors"
    packed, plain = (checkpoint.read_file(folder / weights) for folder in (tmp_path / "p", out))
    for name in ("model.layers.3.mlp.down_proj.weight", "model.embed_tokens.weight"):
        assert (packed[name] == plain[name]).all()
    assert packed["model.layers.3.mlp.up_proj.weight"].dtype == np.uint8
    refused = pare("compress", out, "-o", tmp_path / "q", "--compress-disable-layers", "*.down_prj", exit_code=2)
    assert b"E0312" in refused.stderr and not (tmp_path / "q").exists()


@pytest.mark.parametrize("threads", ("1", "7"))
def test_the_same_bytes_for_any_number_of_threads(pare, packed, quantize, tmp_path, threads):
    out = quantize("--scheme", "w8a8")
    pare("compress", out, "-o", tmp_path / "p", "--threads", threads)
    assert contents(tmp_path / "p") == contents(packed(out))


def test_what_cannot_be_packed_or_unpacked_is_one_clear_error(pare, demo_model, packed, quantize, tmp_path):
    out = packed(quantize("--scheme", "w8a8"))
    made = tmp_path / "made"
    made.mkdir()

    def fails(code, exit_code, *arguments):
        text = pare(*arguments, "-o", made / "out", exit_code=exit_code).stderr.decode()
        assert text.count("error[") == 1 and f"error[{code}]" in text, text
        assert list(made.iterdir()) == [], list(made.iterdir())

    fails("E0101", 2, "compress", out)
    assert b"E0601" in pare("compress", demo_model, "-o", made, exit_code=2).stderr
    fails("E0201", 3, "decompress", demo_model)
    fails("E0201", 3, "compress", tmp_path)
    fails("E0201", 3, "compress", tmp_path / "nowhere")
    fails("E0102", 2, "compress", demo_model, "--pseudo-sparse", "1.5")
    fails("E0101", 2, "compress", demo_model, "--seed", "3")
    loose = tmp_path / "loose"
    loose.mkdir()
    for path in out.iterdir():
        if path.suffix == ".safetensors":
            shutil.copy(path, loose)
    fails("E0101", 2, "compress", loose)
    model = shutil.copytree(demo_model, tmp_path / "model")
    (model / "link").symlink_to("/usr")
    fails("E0403", 4, "compress", model)


def test_a_full_disk_leaves_nothing(pare, demo_model, packed, tmp_path):
    for command, folder in (("compress", demo_model), ("decompress", packed(demo_model))):
        done = subprocess.run([program.binary(), command, folder, "-o", tmp_path / "out"], capture_output=True, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
        assert done.returncode == 3 and b"E0602" in done.stderr and b"bytes" in done.stderr, done.stderr
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(6))
def test_damage_anywhere_is_found_and_nothing_is_written(pare, packed, tiny_quantized, tmp_path, seed):
    good = packed(tiny_quantized("--scheme", "w8a8", "--format", ("ascend", "npy")[seed % 2]))
    bad = shutil.copytree(good, tmp_path / "bad")
    random = np.random.default_rng(seed)
    for path in sorted(p for p in bad.rglob("*") if p.is_file()):
        bytes_ = bytearray(path.read_bytes())
        if not bytes_:
            continue
        at = int(random.integers(len(bytes_)))
        mode = path.stat().st_mode
        path.chmod(0o600)
        path.write_bytes(bytes_[:at] + bytes([bytes_[at] ^ 1 << int(random.integers(8))]) + bytes_[at + 1:])
        done = pare("decompress", bad, "-o", tmp_path / "back", exit_code=3)
        text = done.stderr.decode()
        assert text.count("error[") == 1 and path.name in text, text
        assert os.listdir(tmp_path) == ["bad"]
        path.write_bytes(bytes_)
        path.chmod(mode)
    pare("decompress", bad, "-o", tmp_path / "back")


def test_force_replaces_a_packed_folder(pare, demo_model, tmp_path):
    pare("compress", demo_model, "-o", tmp_path / "p")
    pare("compress", demo_model, "-o", tmp_path / "p", exit_code=2)
    pare("compress", demo_model, "-o", tmp_path / "p", "--force", "--tier", "fast")
    assert json.loads((tmp_path / "p" / "pare_packed.json").read_text())["tier"] == "fast"
