"""`pare check`: what Pare writes keeps every rule, and each rule notices the fault it is for."""
import json
import random
import shutil
import struct
import subprocess

import pytest
from support import check_faults, program
from support.check_faults import FAULTS

SCHEMES = [("w8a8",), ("w8a8-dynamic",), ("w8a16",), ("w4a16",), ("w4a16", "--group-size", "64"), ("w4a16", "--group-size", "64", "--asym"),
           ("w8a16", "--group-size", "64"), ("w8a8s",), ("w4a8-dynamic", "--group-size", "64")]


@pytest.fixture(scope="module")
def base(quantize, demo_model, demo_calib):
    """base(name) -> a folder that keeps all rules."""
    def find(name):
        options = check_faults.BASES[name]
        return demo_model if options is None else quantize(*options, calib=demo_calib if name in check_faults.CALIBRATED else None)
    return find


@pytest.fixture
def copied(base, tmp_path):
    def copy(name):
        return check_faults.Folder(shutil.copytree(base(name), tmp_path / "folder"))
    return copy


def run_check(*arguments):
    """Ends with 0, 4 or 7, whatever the folder holds."""
    done = subprocess.run([program.binary(), "check", *map(str, arguments)], capture_output=True, timeout=120)
    assert done.returncode in (0, 4, 7), done.stderr.decode(errors="replace")[-3000:]
    return done


def checked(folder, *options, exit_code=None):
    """The report of a run; its verdict and the exit code must agree."""
    done = run_check(folder, "--json", *options)
    report = json.loads(done.stdout)
    assert done.returncode == {"fail": 4, "no-rules": 7}.get(report["verdict"], 0), report["verdict"]
    assert exit_code in (None, done.returncode), broken(report)
    return report


def results(report):
    """{rule: result} of the layout and of every engine in the report."""
    found = {result["rule"]: result for result in report["rules"]}
    for target in report["targets"]:
        found.update({result["rule"]: result for result in target["rules"]})
    return found


def broken(report):
    return {rule: result["findings"][0] for rule, result in results(report).items() if result["verdict"] == "fail"}


# --- what Pare writes ------------------------------------------------------------------------------------------------

def exporters():
    listing = json.loads(program.run("list", "exporters", "--json").stdout)
    return [entry["id"] for entry in listing["exporters"]]


@pytest.mark.parametrize(("layout", "holds"), [("ascend", ", 42 quantized linears in 1 weight file"), ("gguf", "")])
def test_the_heading_counts_what_there_is(quantize, layout, holds):
    """A GGUF file is told by its rules: there are no weight files to count."""
    folder = quantize("--scheme", "w8a16", "--format", layout, calib=None)
    heading = run_check(folder).stdout.decode().splitlines()[0]
    assert heading == f"{folder}: layout {layout}{holds}"


def test_every_layout_of_every_scheme_keeps_the_rules(demo_model, demo_calib, tmp_path):
    """Schemes that a layout refuses are no output; every other output must pass."""
    calib = tmp_path / "calib.jsonl"
    calib.write_text("".join(demo_calib.read_text().splitlines(keepends=True)[:2]))
    checked_folders = 0
    for scheme in SCHEMES:
        for layout in exporters():
            out = tmp_path / f"{'-'.join(scheme).replace('--', '')}-{layout}"
            arguments = ["quantize", demo_model, "-o", out, "--scheme", *scheme, "--format", layout, "--quiet"]
            if scheme[0] in ("w8a8", "w8a8s"):
                arguments += ["--calib", calib]
            try:
                program.run(*arguments)
            except AssertionError as error:
                assert "E0318" in str(error), error
                continue
            report = checked(out, exit_code=0)
            broken_rules = [r for r in report["rules"] if r["verdict"] not in ("ok", "not-looked-at")]
            assert not broken_rules, (scheme, layout, broken_rules)
            assert {r["rule"] for r in report["rules"] if r["verdict"] == "not-looked-at"} <= {"gptq-version"}, (scheme, layout)
            checked_folders += 1
            shutil.rmtree(out)
    assert checked_folders > 30


@pytest.mark.parametrize("name, target", [
    ("awq", "vllm"), ("awq", "autoawq"), ("awq", "gptqmodel"), ("awq", "transformers"), ("gptq", "vllm"), ("gptq", "gptqmodel"),
    ("gptq", "transformers"), ("ct", "vllm"), ("ct", "transformers"), ("ct-w8a8", "vllm"), ("ct-dynamic", "vllm-ascend"),
    ("ascend", "mindie"), ("ascend-w4", "mindie"), ("ascend-v1", "vllm-ascend"), ("v1-w8a16", "vllm-ascend"), ("float", "vllm"),
    ("shards", "vllm")])
def test_engines_read_what_is_made_for_them(base, name, target):
    report = checked(base(name), "--target", target, exit_code=0)
    assert report["targets"][0]["target"] == target
    assert not [r for r in results(report).values() if r["verdict"] != "ok"]


def test_a_packed_folder_is_a_warning(pare, base, tmp_path):
    pare("compress", base("ascend"), "-o", tmp_path / "packed")
    report = checked(tmp_path / "packed", exit_code=0)
    assert report["layout"] == "packed" and results(report)["packed"]["verdict"] == "warn"
    assert "pare decompress" in results(report)["packed"]["findings"][0]["fix"]


# --- what is wrong ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.rule}-{fault.base}-{fault.name}")
def test_the_fault_is_noticed(base, copied, fault):
    options = ("--target", fault.target) if fault.target else ()
    before = results(checked(base(fault.base), *options))
    changes_nothing = fault.target and before.get(fault.rule, {}).get("verdict") != "ok"
    if not changes_nothing and fault.rule in before:
        assert before[fault.rule]["verdict"] == "ok", "the folder was broken before"
    folder = copied(fault.base)
    fault.breaks(folder)
    report = checked(folder.path, *options, *fault.options, exit_code=4 if fault.verdict == "fail" else None)
    found = results(report)
    assert fault.rule in found, sorted(found)
    assert found[fault.rule]["verdict"] == fault.verdict, found[fault.rule]
    fixes = [finding["fix"] for finding in found[fault.rule]["findings"]]
    assert any(fault.fix in fix for fix in fixes), fixes


def test_every_rule_has_a_fault():
    rules = {entry["id"]: entry for entry in json.loads(program.run("list", "rules", "--json").stdout)["rules"]}
    assert len(rules) > 50
    assert {fault.rule for fault in FAULTS} | {"packed"} == rules.keys()  # "packed" has a test of its own
    for rule in rules.values():
        assert len(rule["summary"]) > 10 and len(rule["source"]) > 10, rule
    targets = {entry["id"] for entry in json.loads(program.run("list", "targets", "--json").stdout)["targets"]}
    assert targets == {"vllm", "vllm-ascend", "mindie", "autoawq", "gptqmodel", "transformers", "llama.cpp"}


def test_all_problems_in_one_run(copied):
    folder = copied("gptq")
    folder.both(bits=8)
    folder.quantization(group_size=32, quant_method=None, desc_act=None)
    folder.write("tokenizer.json", "{")
    folder.drop(check_faults.Q + ".qzeros", "model.norm.weight")
    assert {"gptq-bits", "group-size", "quant-method", "gptq-keys", "gptq-files-agree", "companions-readable", "linear-parts",
            "model-complete"} <= broken(checked(folder.path, exit_code=4)).keys()


def test_the_table_says_what_to_do(pare, copied):
    folder = copied("awq")
    folder.quantization(zero_point=False)
    text = pare("check", folder.path, exit_code=4).stdout.decode()
    assert "FAIL  awq-zero-point" in text and "fix: set zero_point to true" in text and "1 rule failed" in text
    assert "FAIL  vllm" in text, "an engine cannot load what breaks the layout"


def test_without_a_target_engines_only_inform(base):
    report = checked(base("v1-w4"), exit_code=0)
    assert {target["target"]: target["verdict"] for target in report["targets"]} == {"vllm-ascend": "fail"}
    assert checked(base("v1-w4"), "--target", "vllm-ascend", exit_code=4)["verdict"] == "fail"


def test_devices(base):
    assert checked(base("awq"), "--target", "vllm", "--tp", 2, exit_code=0)["verdict"] != "fail"
    finding = broken(checked(base("awq"), "--target", "vllm", "--tp", 8, exit_code=4))["tensor-parallel"]
    assert "8" in finding["found"] and "1, 2" in finding["fix"]


# --- hostile folders -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["gptq", "ct-w8a8", "ascend", "v1-w4", "npy", "shards"])
def test_garbage_is_found_and_never_a_crash(base, copied, name):
    """Every JSON and weight file in turn: empty, cut in half, other bytes, and JSON of other kinds."""
    rng = random.Random(name)
    folder = copied(name)
    for path in sorted(folder.path.iterdir()):
        shard = path.name.startswith("model-") and "-00001-" not in path.name  # one of several is enough
        if path.suffix not in (".json", ".safetensors", ".npy") or path.name == "report.json" or shard:
            continue
        path.chmod(0o600)
        data = path.read_bytes()
        for bad in (b"", data[: len(data) // 2], flipped(rng, data), b"[]", b'{"a": {"b": [1e999, null]}}'):
            path.write_bytes(bad)
            assert checked(folder.path)["rules"]
        path.write_bytes(data)
    checked(folder.path, exit_code=0)


def flipped(rng, data):
    """Twenty bits changed near the front, where headers are."""
    changed = bytearray(data)
    for _ in range(20):
        changed[rng.randrange(min(len(data), 4000))] ^= 1 << rng.randrange(8)
    return bytes(changed)


VALUES = [None, True, -1, 0, 2**63, 1e300, "", "x" * 5000, [], [[]], {}, {"a": None}, "\u0000\u001b[2J"]


@pytest.mark.parametrize("name, file", [("awq", "config.json"), ("gptq", "quantize_config.json"), ("ct", "config.json"),
                                        ("ascend", "quant_model_description_w8a8.json")])
def test_values_of_any_kind_in_any_key(copied, name, file):
    folder = copied(name)
    original = json.loads((folder.path / file).read_text())
    places = [(original, key) for key in list(original)[:60]]
    if "quantization_config" in original:
        inner = original["quantization_config"]
        places += [(inner, key) for key in inner]
        groups = inner.get("config_groups", {})
        for group in groups.values():
            places += [(group, key) for key in group] + [(group["weights"], key) for key in group["weights"]]
    for number, (place, key) in enumerate(places):
        kept = place[key]
        place[key] = VALUES[number % len(VALUES)]
        folder.write(file, json.dumps(original))
        assert b"\x1b" not in run_check(folder.path, "--json").stdout
        place[key] = kept


def test_a_header_with_impossible_sizes(copied):
    folder = copied("awq")
    header = json.dumps({"a.qweight": {"dtype": "I32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}).encode()
    folder.weights().chmod(0o600)
    folder.weights().write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
    assert "weights-readable" in broken(checked(folder.path, exit_code=4))


def test_an_empty_folder_and_no_folder(pare, tmp_path):
    assert "layout-known" in broken(checked(tmp_path, exit_code=4))
    assert b"E0201" in pare("check", tmp_path / "none", exit_code=3).stderr
    assert b"not a folder" in pare("check", __file__, exit_code=3).stderr
    assert b'did you mean "vllm"' in pare("check", tmp_path, "--target", "vlm", exit_code=2).stderr


# --- checkpoints of other tools, as they lie on the hub -------------------------------------------------------------

def test_a_hub_folder_of_autoawq(copied):
    """AutoAWQ 0.2.x writes more keys, and no report of ours."""
    folder = copied("awq")
    folder.quantization(version="gemm", backend="autoawq", do_fuse=False, modules_to_not_convert=None)
    (folder.path / "report.json").unlink()
    assert not broken(checked(folder.path, exit_code=0))


def test_a_hub_folder_of_gptqmodel(copied):
    folder = copied("gptq")
    folder.quantization(checkpoint_format="gptq", pack_dtype="int32", meta={"quantizer": ["gptqmodel:1.4.0"]}, static_groups=False)
    (folder.path / "quantize_config.json").unlink()
    report = checked(folder.path, exit_code=0)
    assert results(report)["gptq-files-agree"]["verdict"] == "warn"


def test_the_page_lists_every_rule():
    page = (program.PROJECT_ROOT / "docs" / "checking.md").read_text()
    rules = json.loads(program.run("list", "rules", "--json").stdout)["rules"]
    for rule in rules:
        for_whom = ", ".join(rule.get("targets", [])) or "every loader"
        where = ", ".join(rule.get("layouts", [])) or "all"
        row = f"| `{rule['id']}` | {rule['summary']} | {where} | {for_whom.replace('*', 'every engine')} |"
        assert row in page, f"docs/checking.md has no row\n{row}"
    assert page.count("\n| `") == len(rules) + len(json.loads(program.run("list", "targets", "--json").stdout)["targets"])
