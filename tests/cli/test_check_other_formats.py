"""`pare check` and `convert` of what Pare has no rules for: named for what it is, neither passed nor called broken."""
import json
import struct

import numpy as np
import pytest
from support import other_formats, program
from support.other_formats import HIDDEN, ct_config, ct_fp8, ct_group, ct_words, gptq_config, gptq_words, write

FORMATS = other_formats.other_formats()
NO_RULES = 7


def checked(folder, *options, exit_code=0):
    report = json.loads(program.run("check", folder, "--json", *options, exit_code=exit_code).stdout)
    assert report["verdict"] == {0: report["verdict"], 4: "fail", NO_RULES: "no-rules"}[exit_code]
    return report


def of_verdict(report, verdict):
    """{rule: its first finding, or note}"""
    rules = report["rules"] + [rule for target in report["targets"] for rule in target["rules"]]
    return {rule["rule"]: rule["findings"][0]["found"] if rule["findings"] else rule["note"] for rule in rules if rule["verdict"] == verdict}


# --- safetensors of other programs -----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", FORMATS)
def test_check_names_what_it_has_no_rules_for(name, tmp_path):
    says, build = FORMATS[name]
    folder = build(tmp_path / "model")
    report = checked(folder, exit_code=NO_RULES)
    assert of_verdict(report, "no-rules").keys() == {"layout-known"} and not of_verdict(report, "fail")
    assert says.lower() in report["recognised"].lower() and report["layout"] == "other" and report["targets"] == []
    text = program.run("check", folder, "--target", "vllm", exit_code=NO_RULES).stdout.decode()
    assert "FAIL" not in text and "warn " not in text and f"no rules for {report['recognised']}" in text
    assert "-     target-reads-layout" in text and text.rstrip().endswith("neither passed nor failed")


@pytest.mark.parametrize("name", FORMATS)
def test_convert_refuses_it_by_name(name, tmp_path):
    says, build = FORMATS[name]
    build(tmp_path / "model")
    done = program.run("convert", tmp_path / "model", "--to", "gptq", "-o", tmp_path / "out", exit_code=4)
    error = done.stderr.decode()
    assert "error[E0318]" in error and "not quantized" not in error, error
    if name != "ct-mixed-without-rules":
        assert any(word in error.lower() for word in (says.lower(), "int-quantized", "intel/auto-round")), error
    assert not (tmp_path / "out").exists()


def test_what_is_broken_in_it_still_fails(tmp_path):
    folder = FORMATS["nvfp4"][1](tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    report = checked(folder, exit_code=4)
    assert "weights-readable" in of_verdict(report, "fail") and "layout-known" in of_verdict(report, "no-rules")


@pytest.mark.parametrize("file, says", [("adapter_config.json", "adapter"), ("params.json", "Mistral's own format")])
def test_folders_that_are_told_by_another_file(file, says, tmp_path):
    folder = write(tmp_path / "m", files={file: {}})
    checked(folder)
    (folder / "config.json").unlink()
    report = checked(folder, exit_code=NO_RULES)
    assert says in report["recognised"] and not of_verdict(report, "fail")


def test_weights_in_other_files(tmp_path):
    for name, says in (("pytorch_model.bin", "pytorch_model.bin"), ("consolidated.00.pth", "consolidated.00.pth")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(b"PK\x03\x04")
        (folder / "config.json").write_text(json.dumps(other_formats.config()))
        assert says in of_verdict(checked(folder, exit_code=NO_RULES), "no-rules")["layout-known"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "training_args.bin").write_bytes(b"PK")
    assert "no weights" in of_verdict(checked(tmp_path / "empty", exit_code=4), "fail")["layout-known"]


# --- compressed-tensors with formats of groups -----------------------------------------------------------------------

def test_the_format_of_a_group_counts(tmp_path):
    group = ct_group(other_formats.WORDS_OF_4, format="pack-quantized")
    folder = write(tmp_path / "model", ct_words, ct_config("mixed-precision", group, kv_cache_scheme=None))
    report = checked(folder, "--target", "vllm")
    assert not of_verdict(report, "fail") and not of_verdict(report, "no-rules") and report["linears"] == 14
    text = program.run("convert", folder, "--to", "gptq", "-o", tmp_path / "out").stdout.decode()
    assert "every weight is the same" in text


def test_mixed_precision_that_leaves_the_format_to_the_tensors(tmp_path):
    folder = write(tmp_path / "model", ct_words, ct_config("mixed-precision", ct_group(other_formats.WORDS_OF_4)))
    assert not of_verdict(checked(folder, "--target", "vllm"), "fail")


def test_a_wrong_format_of_a_group_fails(tmp_path):
    group = ct_group(other_formats.WORDS_OF_4, format="int-quantized")
    folder = write(tmp_path / "model", ct_words, ct_config("mixed-precision", group))
    report = checked(folder, exit_code=4)
    assert '"int-quantized"' in of_verdict(report, "fail")["ct-format"]
    (rule,) = [rule for rule in report["rules"] if rule["rule"] == "ct-format"]
    assert 'set format to "pack-quantized" in its group' == rule["findings"][0]["fix"] and rule["count"] == 1


@pytest.mark.parametrize("other, form, weights", [(ct_fp8, "float-quantized", other_formats.FLOATS_OF_8),
                                                  (other_formats.nvfp4_parts, "nvfp4-pack-quantized", other_formats.FLOATS_OF_4)])
def test_groups_without_rules_beside_groups_with_rules(other, form, weights, tmp_path):
    """The words are checked, the other group is named; what is wrong with the words still fails."""
    def parts(name, out, columns):
        return other(name, out, columns) if "self_attn" in name else ct_words(name, out, columns)

    groups = [ct_group(weights, ["re:.*self_attn.*"], format=form),
              ct_group(other_formats.WORDS_OF_4, ["re:.*mlp.*"], format="pack-quantized")]
    folder = write(tmp_path / "model", parts, ct_config("mixed-precision", *groups))
    report = checked(folder, "--target", "vllm", exit_code=NO_RULES)
    assert report["linears"] == 6 and report["layout"] == "compressed-tensors"
    assert of_verdict(report, "no-rules") == {"ct-format": f"no rules for compressed-tensors of format {form}"}
    assert not of_verdict(report, "fail")
    groups[1]["weights"] = {**other_formats.WORDS_OF_4, "group_size": 128}
    folder = write(tmp_path / "wrong", parts, ct_config("mixed-precision", *groups))
    assert "ct-shapes" in of_verdict(checked(folder, exit_code=4), "fail")


def test_a_quantized_cache_alone(tmp_path):
    scheme = {"num_bits": 8, "type": "float", "strategy": "tensor", "symmetric": True, "dynamic": False}
    folder = write(tmp_path / "model", None, {"quant_method": "compressed-tensors", "format": "dense", "config_groups": {},
                                              "kv_cache_scheme": scheme, "ignore": []} | {"format": None})
    assert not of_verdict(checked(folder), "fail")


# --- GPTQ with settings by module ------------------------------------------------------------------------------------

def test_settings_of_single_modules(tmp_path):
    """GPTQModel's "dynamic": one linear has 8 bits in other groups."""
    special = "model.layers.1.mlp.down_proj"

    def parts(name, out, columns):
        return gptq_words(name, out, columns, **({"bits": 8, "group": 64} if name == special else {}))

    own = {"bits": 8, "group_size": 64}
    folder = write(tmp_path / "model", parts, gptq_config(dynamic={r"+:.*\.1\.mlp\.down_proj": own}))
    checked(folder)
    folder = write(tmp_path / "wrong", parts, gptq_config(dynamic={r"+:.*\.0\.mlp\.down_proj": own}))
    assert of_verdict(checked(folder, exit_code=4), "fail").keys() >= {"gptq-bits", "group-size"}


# --- GGUF ------------------------------------------------------------------------------------------------------------

SIZES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210), "IQ4_XS": (23, 256, 136)}


def gguf(path, tensors, values):
    """{name: (type, shape, innermost first)}, {key: whole number, number or text}"""
    def text(word):
        return struct.pack("<Q", len(word)) + word.encode()

    def value(it):
        if isinstance(it, str):
            return struct.pack("<I", 8) + text(it)
        return struct.pack("<If", 6, it) if isinstance(it, float) else struct.pack("<II", 4, it)

    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values)) + b"".join(text(key) + value(it) for key, it in values.items())
    data = b""
    for name, (kind, shape) in tensors.items():
        number, elements, size = SIZES.get(kind, (kind, 1, 1))
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", number, len(data))
        data += bytes(int(np.prod(shape)) // elements * size)
        data += bytes(-len(data) % 32)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(-len(head) % 32) + data)


KEYS = {"general.architecture": "llama", "llama.context_length": 128, "llama.embedding_length": 256, "llama.block_count": 1,
        "llama.feed_forward_length": 512, "llama.attention.head_count": 4, "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 1e4, "tokenizer.ggml.model": "none"}
TOP = {"token_embd.weight": ("F16", (256, 64)), "output_norm.weight": ("F32", (256,)), "output.weight": ("Q6_K", (256, 64))}
BLOCK = {"blk.0.attn_norm.weight": ("F32", (256,)), "blk.0.ffn_norm.weight": ("F32", (256,)),
         **{f"blk.0.{name}.weight": ("Q4_K", (256, rows)) for name, rows in
            (("attn_q", 256), ("attn_k", 256), ("attn_v", 256), ("attn_output", 256), ("ffn_gate", 512), ("ffn_up", 512))},
         "blk.0.ffn_down.weight": ("IQ4_XS", (512, 256))}


def with_config(folder):
    (folder / "config.json").write_text(json.dumps(other_formats.config(num_hidden_layers=1)))


def test_gguf_of_any_block_type_is_checked(tmp_path):
    gguf(tmp_path / "m" / "m-Q4_K_M.gguf", {**TOP, **BLOCK}, KEYS)
    report = checked(tmp_path / "m")
    assert not of_verdict(report, "fail") and not of_verdict(report, "not-looked-at")
    (readable,) = [rule for rule in report["rules"] if rule["rule"] == "gguf-readable"]
    assert "F16, F32, IQ4_XS, Q4_K, Q6_K" in readable["note"]
    for config in (False, True):
        if config:
            with_config(tmp_path / "m")
        error = program.run("convert", tmp_path / "m", "--to", "gptq", "-o", tmp_path / "out", exit_code=4).stderr.decode()
        assert "error[E0318]" in error and "blocks of IQ4_XS, Q4_K, Q6_K" in error and "type 12" not in error
        assert "llama-quantize" in error and not (tmp_path / "out").exists()


def test_gguf_that_is_broken_fails_whatever_its_types(tmp_path):
    gguf(tmp_path / "a" / "m.gguf", {**TOP, **BLOCK}, {**KEYS, "llama.block_count": 2})
    assert "blk.1" in of_verdict(checked(tmp_path / "a", exit_code=4), "fail")["gguf-tensors"]
    gguf(tmp_path / "b" / "m.gguf", {**TOP, **BLOCK}, KEYS)
    path = tmp_path / "b" / "m.gguf"
    path.write_bytes(path.read_bytes()[:-500])
    report = checked(tmp_path / "b", exit_code=4)
    assert "beyond the file" in of_verdict(report, "fail")["gguf-readable"]
    assert of_verdict(report, "not-looked-at").keys() == {"gguf-keys", "gguf-rotary-base", "gguf-vocabulary", "gguf-pre-tokenizer",
                                                          "gguf-tensors", "gguf-vectors-f32"}


def test_a_block_type_of_tomorrow(tmp_path):
    gguf(tmp_path / "m" / "m.gguf", {**TOP, **BLOCK, "blk.0.attn_q.weight": (77, (256, 256))}, KEYS)
    assert "type 77" in of_verdict(checked(tmp_path / "m", exit_code=NO_RULES), "no-rules")["gguf-readable"]


def split(folder, parts=2):
    halves = [dict(list({**TOP, **BLOCK}.items())[i::parts]) for i in range(parts)]
    for number, tensors in enumerate(halves, 1):
        values = {"split.no": number - 1, "split.count": parts}
        gguf(folder / f"m-{number:05}-of-{parts:05}.gguf", tensors, {**KEYS, **values} if number == 1 else values)


def test_numbered_parts_are_one_model(tmp_path):
    split(tmp_path / "m")
    report = checked(tmp_path / "m")
    assert not of_verdict(report, "fail")
    (readable,) = [rule for rule in report["rules"] if rule["rule"] == "gguf-readable"]
    assert "m-00001-of-00002.gguf in 2 parts" in readable["note"]
    error = program.run("convert", tmp_path / "m", "--to", "gptq", "-o", tmp_path / "out", exit_code=4).stderr.decode()
    assert "one of the 2 parts" in error and "llama-gguf-split --merge m-00001-of-00002.gguf" in error


@pytest.mark.parametrize("missing", [1, 3])
def test_a_missing_part_fails(missing, tmp_path):
    split(tmp_path / "m", 3)
    (tmp_path / "m" / f"m-{missing:05}-of-00003.gguf").unlink()
    report = checked(tmp_path / "m", exit_code=4)
    assert of_verdict(report, "fail") == {"gguf-readable": f"of its 3 parts 1 are missing: {missing}"}


def test_several_models_in_one_folder(tmp_path):
    """As repositories have them: every file by itself, one of another architecture, one a projector of images."""
    gguf(tmp_path / "m" / "m-Q4_K_M.gguf", {**TOP, **BLOCK}, KEYS)
    gguf(tmp_path / "m" / "m-Q8_0.gguf", {**TOP, **BLOCK, "output.weight": ("Q8_0", (256, 64))}, KEYS)
    gguf(tmp_path / "m" / "mmproj-F16.gguf", {"v.blk.0.attn_q.weight": ("F16", (64, 64))}, {"general.architecture": "clip", "general.type": "mmproj"})
    assert not of_verdict(checked(tmp_path / "m"), "fail")
    error = program.run("convert", tmp_path / "m", "--to", "gptq", "-o", tmp_path / "out", exit_code=4).stderr.decode()
    assert "3 GGUF files" in error and "a folder of its own" in error


def test_other_architectures_are_not_looked_at(tmp_path):
    keys = {key.replace("llama.", "mamba."): value for key, value in KEYS.items() if "head_count" not in key}
    gguf(tmp_path / "m" / "m.gguf", {**TOP, "blk.0.ssm_in.weight": ("Q4_K", (256, 512))}, {**keys, "general.architecture": "mamba"})
    report = checked(tmp_path / "m")
    assert not of_verdict(report, "fail") and "mamba" in of_verdict(report, "not-looked-at")["gguf-tensors"]


# --- routers ---------------------------------------------------------------------------------------------------------

def rule_of(folder, target, rule, exit_code=0):
    report = checked(folder, "--target", target, exit_code=exit_code)
    (found,) = [result for result in report["targets"][0]["rules"] if result["rule"] == rule]
    return found


def experts(folder, **routers):
    """A model of unknown class whose MLPs are experts, with `routers` in words or floats."""
    def parts(linear, out, columns):
        tensors = gptq_words(linear.replace("mlp.", "mlp.experts.0."), out, columns)
        if linear == "model.layers.0.self_attn.q_proj":
            for name, words in routers.items():
                tensors.update(gptq_words(name, 8, HIDDEN) if words else {name + ".weight": ("BF16", (8, HIDDEN))})
        return tensors

    return write(folder, parts, gptq_config(), model_type="some_moe", architectures=["SomeMoeForCausalLM"])


@pytest.mark.parametrize("name", ["mlp.gate", "block_sparse_moe.gate", "mlp.shared_expert_gate", "feed_forward.router", "ffn.router.layer"])
def test_a_quantized_router(name, tmp_path):
    router = f"model.layers.0.{name}"
    folder = experts(tmp_path / "quantized", **{router: True})
    found = rule_of(folder, "vllm", "router-float", exit_code=4)
    assert found["verdict"] == "fail" and [finding["where"] for finding in found["findings"]] == [router]
    assert rule_of(folder, "transformers", "router-float")["verdict"] == "warn"
    checked(folder)  # without an engine it is for each to say
    assert rule_of(experts(tmp_path / "float", **{router: False}), "vllm", "router-float")["verdict"] == "ok"


def test_the_gate_of_a_dense_mlp_is_no_router(tmp_path):
    """Some models without experts have a linear called gate."""
    def parts(linear, out, columns):
        return gptq_words(linear.replace("mlp.gate_proj", "ffn.gate"), out, columns)

    folder = write(tmp_path / "m", parts, gptq_config(), model_type="novel", architectures=["NovelForCausalLM"])
    assert rule_of(folder, "vllm", "router-float")["verdict"] == "ok"


# --- what could not be looked at -------------------------------------------------------------------------------------

def test_rules_that_could_not_look_say_so(tmp_path):
    folder = write(tmp_path / "m", ct_words, ct_config("pack-quantized", ct_group(other_formats.WORDS_OF_4)))
    (folder / "config.json").unlink()
    report = checked(folder, exit_code=4)
    unseen = of_verdict(report, "not-looked-at")
    assert {"quant-method", "dtype-agrees", "model-complete", "no-unknown-tensors", "one-label", "ct-format", "ct-shapes", "ct-inputs",
            "ct-zero-points", "ct-ignore", "ct-args", "ct-status", "remote-code"} <= unseen.keys()
    assert all(unseen.values()) and "there is no config.json" == unseen["ct-format"]
    text = program.run("check", folder, exit_code=4).stdout.decode()
    assert "  -     ct-format               not looked at: there is no config.json\n" in text


def test_an_unknown_architecture_is_not_looked_at(tmp_path):
    folder = write(tmp_path / "m", None, model_type="novel", architectures=["NovelForCausalLM"])
    report = checked(folder)
    assert {"model-complete", "no-unknown-tensors"} == of_verdict(report, "not-looked-at").keys()
    assert "NovelForCausalLM" in of_verdict(report, "not-looked-at")["model-complete"]
    assert ", 2 not looked at" in program.run("check", folder).stdout.decode().splitlines()[-1]


def test_the_closing_line_counts_what_engines_say(tmp_path):
    """Shapes that are no multiples of 128: a warning of vLLM's."""
    def parts(name, out, columns):
        return ct_words(name, out, columns, 16)

    group = {**other_formats.WORDS_OF_4, "group_size": 16}
    folder = write(tmp_path / "m", parts, ct_config("pack-quantized", ct_group(group)))
    lines = program.run("check", folder).stdout.decode().splitlines()
    assert any(line.startswith("  warn  vllm") and "marlin-shapes" in line for line in lines), lines
    assert lines[-1].startswith("0 rules failed, 1 warned, ")
    assert lines[-1].endswith("; 1 of 3 engines fail by their own rules"), lines[-1]
    asked = program.run("check", folder, "--target", "vllm").stdout.decode().splitlines()
    assert sum(line.startswith("  warn") for line in asked) == 1 and asked[-1].startswith("0 rules failed, 1 warned, ")
