"""gptqmodel loads AWQ and GPTQ folders as Pare leaves them, and Pare reads what gptqmodel writes."""
import json

import numpy as np
import pytest

from support import checkpoint, judge_cells, judging

pytestmark = pytest.mark.live
METHODS = {"autoawq": "awq", "gptq": "gptq", "gptq-v2": "gptq"}
LINEARS = 42  # of the demo model: 6 blocks of 7


def ask(gptqmodel, folder, sequences, layout):
    answer = gptqmodel.ask("gptqmodel_judge.logits", folder, sequences, METHODS[layout])
    assert answer["modules"] == LINEARS and answer["dtype"] == "torch.float16"
    return answer


@pytest.mark.parametrize("layout, scheme", judge_cells.cells(*METHODS))
def test_logits(gptqmodel, written_for, pare_logits, judge_sequences, judged, layout, scheme):
    folder = written_for(layout, scheme)
    answer = ask(gptqmodel, folder, judge_sequences, layout)
    judged(layout, scheme, "gptqmodel, torch kernel, float16", answer["as it runs"], pare_logits(folder), judging.FLOAT16)
    judged(layout, scheme, "gptqmodel, its weights, float32", answer["float32"], pare_logits(folder), judging.FLOAT32)


BREAKS = {"nibble order": judging.swap_nibbles(".qweight"), "zero points": judging.lower_zeros(4, ".qzeros")}


@pytest.mark.parametrize("layout", METHODS)
@pytest.mark.parametrize("what", BREAKS)
def test_the_comparison_sees(gptqmodel, written_for, pare_logits, judge_sequences, tmp_path, layout, what):
    """The same comparison fails by far when the words of the folder are in the wrong order, or its zero points off by one."""
    folder = written_for(layout, "w4a16-g64")
    broken = judging.copy_with(folder, tmp_path / "broken", BREAKS[what])
    answer = ask(gptqmodel, broken, judge_sequences, layout)
    assert judging.worst(answer["as it runs"], pare_logits(folder)) > 10 * judging.FLOAT16


REAL = {
    "gptq, act-order": ("gptq", {"bits": 4, "group_size": 64, "desc_act": True, "sym": True}),
    "gptq_v2, asymmetric": ("gptq", {"bits": 4, "group_size": 64, "desc_act": False, "sym": False, "format": "gptq_v2"}),
    "gptq, 8 bits": ("gptq", {"bits": 8, "group_size": 128, "desc_act": False, "sym": True}),
    "awq": ("awq", {"bits": 4, "group_size": 64}),
}
CONVERTED = {  # what each of them can become without loss, and the loader's method for it
    "gptq, act-order": ("gptq-v2", "gptq"),
    "gptq_v2, asymmetric": ("autoawq", "awq"),
    "gptq, 8 bits": ("gptq-v2", "gptq"),
    "awq": ("gptq-v2", "gptq"),
}


@pytest.fixture(scope="module")
def real(gptqmodel, demo_model, judge_sequences, tmp_path_factory):
    """real(name) -> a folder that gptqmodel quantized and saved."""
    made, window = {}, judge_sequences[-1]

    def make(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("real") / "out"
            method, options = REAL[name]
            gptqmodel.ask("gptqmodel_judge.quantize", demo_model, made[name], method,
                          [window[at:at + 64] for at in range(0, 192, 32)], **options)
        return made[name]
    return make


@pytest.mark.parametrize("name", REAL)
def test_pare_reads_what_it_wrote(gptqmodel, real, pare_logits, judge_sequences, judged, name):
    folder, method = real(name), REAL[name][0]
    answer = gptqmodel.ask("gptqmodel_judge.logits", folder, judge_sequences, method)
    judged("written by it", name, "gptqmodel, its weights, float32", answer["float32"], pare_logits(folder), judging.FLOAT32)


def test_its_act_order_is_one(real):
    """The folder above must hold what the test is for: groups that are no ranges of columns."""
    tensors = checkpoint.read_folder(real("gptq, act-order"))
    orders = [array for name, array in tensors.items() if name.endswith(".g_idx")]
    assert orders and any((np.diff(order) < 0).any() for order in orders)


@pytest.mark.parametrize("name", CONVERTED)
def test_what_it_wrote_converts(gptqmodel, pare, real, pare_logits, judge_sequences, judged, tmp_path, name):
    target, method = CONVERTED[name]
    pare("convert", real(name), "--to", target, "-o", tmp_path / "out")
    answer = gptqmodel.ask("gptqmodel_judge.logits", tmp_path / "out", judge_sequences, method)
    judged(target, f"from {name}", "gptqmodel, its weights, float32", answer["float32"], pare_logits(real(name)), judging.FLOAT32)


def test_asymmetric_v1_is_refused_by_the_library(gptqmodel, pare, written_for, judge_sequences, tmp_path):
    """Why the table has no such cell: it trusts asymmetric files of the first version only from itself."""
    pare("convert", written_for("gptq-v2", "w4a16-g64-asym"), "--to", "gptq", "-o", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "quantize_config.json").read_text())["sym"] is False
    with pytest.raises(ValueError, match="sym=False"):
        ask(gptqmodel, tmp_path / "out", judge_sequences, "gptq")
