"""Fixtures of the command-line tests that convert."""
import pytest

from support import checkpoint, conversion, program


@pytest.fixture(scope="session")
def convert(pare, tmp_path_factory):
    """convert(folder, layout, *options) -> the new folder; the same request runs once."""
    made = {}

    def run(folder, layout, *options):
        key = (str(folder), layout, *options)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("converted") / "out"
            pare("convert", folder, "--to", layout, "-o", made[key], *options)
        return made[key]

    return run


def listing(folder):
    """Every file below a folder, with its size and time."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def fails(pare, tmp_path):
    """fails(code, exit_code, verb, ...) -> what was printed, once it is clear that it is one error and nothing was written."""
    def run(code, exit_code, *arguments, out=None):
        before = listing(tmp_path)
        where = [] if out is False else ["-o", out or tmp_path / "refused"]
        text = pare(*arguments, *where, exit_code=exit_code).stderr.decode()
        assert f"error[{code}]" in text and text.count("error[") == 1, text
        assert listing(tmp_path) == before
        return text

    return run


@pytest.fixture
def quantized(quantize):
    """quantized(options) -> the demo model in that scheme, calibrated where it must be."""
    calibration = program.PROJECT_ROOT / "demo" / "calib.jsonl"
    return lambda options: quantize(*options, calib=calibration if options == conversion.STATIC else None)


@pytest.fixture(scope="session")
def half_model(demo_model, tmp_path_factory):
    """The demo model in float16: every layout holds its tensors and scales as they are."""
    folder = tmp_path_factory.mktemp("f16") / "model"
    return checkpoint.write_float_folder(folder, demo_model, checkpoint.read_folder(demo_model), "float16")


@pytest.fixture(scope="session")
def wide_scales(quantize, demo_model, tmp_path_factory):
    """An ascend folder with F32 scales."""
    tensors = checkpoint.read_folder(demo_model)
    model = checkpoint.write_float_folder(tmp_path_factory.mktemp("f32") / "model", demo_model, tensors, "float32")
    return quantize(*conversion.W4G, model=model, calib=None)


@pytest.fixture
def lowest_zero(quantized, tmp_path):
    """A folder with one zero point that is the lowest code."""
    def change(tensors):
        tensors["model.layers.4.self_attn.o_proj.weight_offset"][3, 2] = -8

    return conversion.copy_with(quantized(conversion.W4GA), tmp_path / "source", change)
