"""Fixtures of the live judges, and the table of what they found, printed at the end of the run."""
import importlib.util
import json

import pytest

from support import judge_cells, judging

_rows = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[_rows] = []


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[_rows]:
        terminalreporter.section("judges: format, scheme, judge, max |difference| of logits, max |logit|")
        for row in config.stash[_rows]:
            terminalreporter.write_line(row.text())


@pytest.fixture
def judged(request):
    """judged(layout, scheme, judge, got, expected, tolerance) compares logits and puts a line into the table."""
    def compare(*arguments):
        row = judging.Row(*arguments)
        request.config.stash[_rows].append(row)
        row.check()
    return compare


@pytest.fixture(scope="session")
def judge_sequences(demo_model, demo_text):
    """One token, a few, and a whole window."""
    from support.tokenizer_judges import LibraryJudge

    ids = LibraryJudge.from_file(demo_model / "tokenizer.json").encode(demo_text.read_bytes().decode("utf-8"))
    return [ids[:1], ids[:17], ids[100:356]]


@pytest.fixture(scope="session")
def written_for(quantize):
    """written_for(layout, scheme) -> a folder exactly as `pare quantize` leaves it."""
    def make(layout, scheme):
        return quantize(*judge_cells.SCHEMES[scheme], "--format", layout)
    return make


@pytest.fixture(scope="session")
def pare_logits(pare, judge_sequences, tmp_path_factory):
    """pare_logits(folder): what Pare itself computes from the folder, in float32."""
    scratch = tmp_path_factory.mktemp("logits")
    ids = scratch / "ids.jsonl"
    ids.write_text("".join(json.dumps({"input_ids": sequence}) + "\n" for sequence in judge_sequences))
    return judging.PareLogits(pare, ids, scratch)


def _process(package, **environment):
    from support.judge_process import JudgeProcess

    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the judge {package} is not installed (scripts/python-env.sh --interop)")
    process = JudgeProcess(**environment)
    yield process
    process.close()


@pytest.fixture(scope="module")
def gptqmodel():
    # On two cores it takes one worker by itself, and then waits for a second one for ever.
    yield from _process("gptqmodel", GPTQMODEL_CPU_WORKERS="2")


@pytest.fixture(scope="module")
def hugging_face():
    yield from _process("compressed_tensors", GPTQMODEL_CPU_WORKERS="2")


@pytest.fixture(scope="module")
def autoawq():
    yield from _process("awq")


@pytest.fixture(scope="module")
def autogptq():
    yield from _process("auto_gptq")
