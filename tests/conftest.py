"""What every Python test shares: the `live` marker, the program under test, and lines printed at the end of the run."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import program  # noqa: E402  (needs the path above)

_lines = pytest.StashKey[list]()


def pytest_configure(config):
    config.addinivalue_line("markers", "live: needs torch and transformers (tests/interop/requirements-live.txt)")
    config.addinivalue_line("markers", "long: minutes of work; runs where PARE_LONG is set")
    config.addinivalue_line("markers", "llama_cpp: needs llama.cpp, as the Python that PARE_LLAMA_CPP_PYTHON names")
    config.stash[_lines] = []


def pytest_collection_modifyitems(items):
    """Live tests skip, saying why, where their judges are not installed, and long ones where nobody asked for them."""
    if "PARE_LONG" not in os.environ:
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: scripts/test.sh --interop runs it (PARE_LONG=1)"))
    if "PARE_LLAMA_CPP_PYTHON" not in os.environ:
        for item in items:
            if item.get_closest_marker("llama_cpp"):
                item.add_marker(pytest.mark.skip(reason="no llama.cpp: PARE_LLAMA_CPP_PYTHON is not set"))
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as missing:
        reason = f"the live judges are not installed: {missing}"
        for item in items:
            if item.get_closest_marker("live"):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[_lines]:
        terminalreporter.section("measured")
        for line in config.stash[_lines]:
            terminalreporter.write_line(line)


@pytest.fixture
def measured(request):
    """measured("text") prints a line at the end of the run, whatever pytest captures."""
    return request.config.stash[_lines].append


@pytest.fixture(scope="session")
def pare():
    """Runs the program: pare("inspect", folder). Fails, not skips, when the program was not built."""
    if not program.binary().is_file():
        pytest.fail(f"no program at {program.binary()}: build it, or name it in PARE_BIN")
    return program.run


@pytest.fixture(scope="session")
def demo_model():
    return program.PROJECT_ROOT / "demo" / "model"


@pytest.fixture(scope="session")
def demo_text():
    return program.PROJECT_ROOT / "demo" / "text.txt"


@pytest.fixture(scope="session")
def demo_calib():
    return program.PROJECT_ROOT / "demo" / "calib.jsonl"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of large test data beside the project; tests that want it skip where it is absent."""
    folder = program.shared_folder() / "data"
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder} (set PARE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def quantize(pare, demo_model, demo_calib, tmp_path_factory):
    """quantize(*options, model=, calib=) -> the output folder; the same request runs once per session."""
    made = {}

    def run(*options, model=demo_model, calib=demo_calib):
        key = (str(model), str(calib), *map(str, options))
        if key not in made:
            out = tmp_path_factory.mktemp("quantized") / "out"
            calibration = [] if calib is None else ["--calib", calib]
            pare("quantize", model, "-o", out, *calibration, *options)
            made[key] = out
        return made[key]

    return run
