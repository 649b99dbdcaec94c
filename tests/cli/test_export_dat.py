"""`pare export-dat`: loose files read back with numpy by what docs/formats/packed.md says."""
import json
import shutil

import numpy as np
import pytest
from interop import codec_numpy
from support import checkpoint, program

TINY = program.GOLDEN / "models" / "llama-gqa"
WEIGHTS = "quant_model_weight_w8a8s.safetensors"


@pytest.fixture(scope="module")
def quantized(quantize):
    return quantize("--scheme", "w8a8s", model=TINY, calib=TINY / "input_ids.jsonl")


def read_back(folder, key):
    """The matrix [n, k] that KEY's files hold, and whether it was compressed."""
    parts = {name: (folder / name / f"{key}.dat").read_bytes() for name in ("weight", "index", "info", "codec")}
    info = np.frombuffer(parts["info"], "<i8")
    assert info.shape == (5,) and list(info[[0, 1, 4]]) == [8, 8, 1]
    k, n = (int(size) for size in info[2:4])
    data = parts["weight"]
    if parts["index"]:
        stream = codec_numpy.Stream(parts["codec"], parts["index"], data)
        assert stream.dtype == "I8" and stream.shape == (-(-k // 32), -(-n // 16), 16, 32)
        data = stream.decode()
    blocks = np.frombuffer(data, np.int8).reshape(-(-k // 32), -(-n // 16), 16, 32)
    whole = blocks.transpose(1, 2, 0, 3).reshape(blocks.shape[1] * 16, blocks.shape[0] * 32)
    assert (whole[n:] == 0).all() and (whole[:, k:] == 0).all()
    return whole[:n, :k], bool(parts["index"])


def int8_matrices(folder):
    tensors = checkpoint.read_file(folder / WEIGHTS)
    return {name.removesuffix(".weight"): t for name, t in tensors.items() if t.dtype == np.int8 and t.ndim == 2}


@pytest.mark.parametrize("options", [(), ("--transpose",), ("--full-names",), ("--tier", "fast")])
def test_the_weights_come_back(pare, quantized, tmp_path, options):
    out = tmp_path / "dat"
    done = pare("export-dat", quantized, "-o", out, "--json", *options)
    codes = int8_matrices(quantized)
    ending = ".weight" if "--full-names" in options else ""
    assert {p.name for p in (out / "weight").iterdir()} == {f"{name}{ending}.dat" for name in codes}
    compressed = 0
    for name, expected in codes.items():
        found, coded = read_back(out, name + ending)
        compressed += coded
        assert (found == (expected.T if "--transpose" in options else expected)).all(), name
    assert compressed > len(codes) / 2
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["from"] == sum(t.size for t in codes.values())
    assert last["to"] == sum(p.stat().st_size for p in (out / "weight").iterdir())


def test_modes_are_those_of_the_original(pare, quantized, tmp_path):
    out = tmp_path / "dat"
    pare("export-dat", quantized, "-o", out)
    for folder in ("weight", "index", "info", "codec"):
        assert (out / folder).stat().st_mode & 0o777 == 0o750
        assert {p.stat().st_mode & 0o777 for p in (out / folder).iterdir()} == {0o400}


def test_sizes_that_are_no_multiples_of_blocks_are_padded(pare, tmp_path):
    matrix = np.clip(np.rint(np.random.default_rng(3).normal(size=(45, 70)) * 2), -127, 127).astype(np.int8)
    (tmp_path / "m").mkdir()
    checkpoint.write_file(tmp_path / "m" / "model.safetensors", {"a.weight": matrix, "a.bias": np.zeros(45, np.float32), "b": matrix})
    pare("export-dat", tmp_path / "m", "-o", tmp_path / "dat")
    found, coded = read_back(tmp_path / "dat", "a")
    assert coded and (found == matrix).all()
    summary = json.loads((tmp_path / "dat" / "pare_dat.json").read_text())
    assert [(w["key"], w["n"], w["k"]) for w in summary["weights"]] == [("a", 45, 70)]  # "b" is called like no weight


def test_every_kind_of_input_gives_the_same_files(pare, quantized, quantize, tmp_path):
    npy = quantize("--scheme", "w8a8s", "--format", "npy", model=TINY, calib=TINY / "input_ids.jsonl")
    pare("compress", npy, "-o", tmp_path / "npy-packed")
    pare("compress", quantized, "-o", tmp_path / "packed")
    inputs = [quantized, tmp_path / "packed", npy, npy / "quant_weight.npy", tmp_path / "npy-packed"]
    made = []
    for number, folder in enumerate(inputs):
        pare("export-dat", folder, "-o", tmp_path / str(number))
        made.append({str(p.relative_to(tmp_path / str(number))): p.read_bytes() for p in (tmp_path / str(number)).rglob("*.dat")})
    assert len(made[0]) == 4 * len(int8_matrices(quantized))
    assert all(files == made[0] for files in made)


def test_disabled_layers_are_cut_into_blocks_and_not_compressed(pare, quantized, tmp_path):
    out = tmp_path / "dat"
    pare("export-dat", quantized, "-o", out, "--compress-disable-layers", "*.down_proj")
    for name, expected in int8_matrices(quantized).items():
        found, coded = read_back(out, name)
        assert (found == expected).all()
        if name.endswith("down_proj"):
            assert not coded and (out / "codec" / f"{name}.dat").read_bytes() == b""
    refused = pare("export-dat", quantized, "-o", tmp_path / "no", "--compress-disable-layers", "*.dwn_proj", exit_code=2)
    assert b"E0312" in refused.stderr and not (tmp_path / "no").exists()


def test_pseudo_sparse_weights_are_told_and_seeded(pare, quantized, tmp_path):
    for number, seed in enumerate((1, 1, 2)):
        done = pare("export-dat", quantized, "-o", tmp_path / str(number), "--pseudo-sparse", "0.4", "--seed", str(seed))
        assert b"changes the model" in done.stderr
    key = next(iter(int8_matrices(quantized)))
    first, again, other = (read_back(tmp_path / str(number), key)[0] for number in range(3))
    assert (first == again).all() and (first != other).any()
    plain = int8_matrices(quantized)[key]
    assert ((first == plain) | (first == 0)).all() and 0.3 < (first != 0).mean() < 0.42


def test_no_question_is_asked_and_nothing_runs(pare, quantize, tmp_path):
    npy = quantize("--scheme", "w8a8s", "--format", "npy", model=TINY, calib=TINY / "input_ids.jsonl")
    pare("export-dat", npy / "quant_weight.npy", "-o", tmp_path / "dat", stdin=b"")
    evil = np.array({"a": np.zeros((16, 32), np.int8), "b": slice(1)}, dtype=object)
    np.save(tmp_path / "evil.npy", evil, allow_pickle=True)
    refused = pare("export-dat", tmp_path / "evil.npy", "-o", tmp_path / "no", exit_code=3)
    assert b"E0208" in refused.stderr and not (tmp_path / "no").exists()


def test_what_cannot_be_exported_is_one_clear_error(pare, demo_model, quantize, tmp_path):
    made = tmp_path / "made"
    made.mkdir()

    def fails(code, exit_code, *arguments):
        text = pare("export-dat", *arguments, "-o", made / "dat", exit_code=exit_code).stderr.decode()
        assert text.count("error[") == 1 and f"error[{code}]" in text, text
        assert list(made.iterdir()) == []

    fails("E0318", 4, demo_model)
    fails("E0318", 4, quantize("--scheme", "w4a16", "--group-size", "64", "--format", "ascend-v1", calib=None))
    fails("E0201", 3, tmp_path / "nowhere")
    fails("E0102", 2, demo_model, "--pseudo-sparse", "2")
    (tmp_path / "m").mkdir()
    checkpoint.write_file(tmp_path / "m" / "model.safetensors", {"../up.weight": np.zeros((16, 32), np.int8)})
    fails("E0403", 4, tmp_path / "m")


def test_force_replaces_what_pare_exported(pare, quantized, tmp_path):
    out = tmp_path / "dat"
    pare("export-dat", quantized, "-o", out)
    pare("export-dat", quantized, "-o", out, exit_code=2)
    pare("export-dat", quantized, "-o", out, "--force", "--full-names")
    assert all(p.name.endswith(".weight.dat") for p in (out / "info").iterdir())
    shutil.rmtree(out)
