"""Models of other classes than Pare runs: what needs no forward pass works by names and shapes, what needs one says what is missing."""
import json

import numpy as np
import pytest
from support import checkpoint, small_llama

W4 = ("--scheme", "w4a16", "--group-size", 64)


@pytest.fixture
def model(tmp_path):
    return lambda weights=None, **changes: small_llama.write(tmp_path / "model", weights, **changes)


@pytest.fixture
def out(pare, tmp_path):
    """out(model, *options) -> (output folder, report.json, what was printed)."""
    def run(model, *options):
        folder = tmp_path / f"out{sum(1 for _ in tmp_path.glob('out*'))}"
        done = pare("quantize", model, "-o", folder, *options)
        return folder, json.loads((folder / "report.json").read_text()), (done.stdout + done.stderr).decode()

    return run


def kept(report):
    return {linear["name"]: linear["because"] for linear in report["kept"]}


# A rotary embedding, an activation and a head size that the forward pass does not know.
UNKNOWN_FEATURES = {
    "yarn": dict(rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}),
    "longrope": dict(rope_scaling={"rope_type": "longrope", "short_factor": [1.0] * 16, "long_factor": [2.0] * 16}),
    "rotary by layer": dict(rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                                             "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}),
    "rotary list": dict(rope_scaling=["yarn", 4]),
    "part of a head": dict(partial_rotary_factor=0.5),
    "gelu": dict(hidden_act="gelu_pytorch_tanh"),
    "theta in words": dict(rope_theta="10k"),
}


@pytest.mark.parametrize("name", UNKNOWN_FEATURES)
def test_features_that_only_a_forward_pass_needs_are_a_warning(out, model, fails, tmp_path, name):
    folder = model(**UNKNOWN_FEATURES[name])
    for options in (W4, ("--scheme", "w8a8-dynamic", "--format", "compressed-tensors")):
        made, report, said = out(folder, *options)
        assert said.count("warning") == 1, said
        assert len(report["linears"]) == small_llama.LINEARS and list(kept(report)) == ["lm_head"]
        written = json.loads((made / "config.json").read_text())
        key, value = next(iter(UNKNOWN_FEATURES[name].items()))
        assert written[key] == value
    ids = small_llama.write_ids(tmp_path / "ids.jsonl")
    code = "E0402" if name in ("rotary list", "theta in words") else "E0403"
    text = fails(code, 3 if code == "E0402" else 4, "quantize", folder, "--scheme", "w8a8", "--calib", ids)
    assert "warning" not in text


def test_a_reward_head_is_told_by_the_class(out, model, fails, tmp_path):
    folder = model(small_llama.tensors(head="score", head_rows=1), architectures=["LlamaForSequenceClassification"])
    made, report, _ = out(folder, *W4, "--format", "gptq")
    assert len(report["linears"]) == small_llama.LINEARS and list(kept(report)) == ["score"]
    assert checkpoint.read_folder(made)["score.weight"].shape == (1, small_llama.HIDDEN)
    text = fails("E0401", 4, "quantize", folder, "--scheme", "w8a8", "--calib", small_llama.write_ids(tmp_path / "ids.jsonl"))
    assert "LlamaForSequenceClassification" in text and "LlamaForCausalLM" in text


@pytest.mark.parametrize("head, rows, cls", [("score", 3, "LlamaForSequenceClassification"), ("classifier", 7, "LlamaForTokenClassification"),
                                             ("qa_outputs", 2, "LlamaForQuestionAnswering"), ("v_head.summary", 1, "LlamaForCausalLMWithValueHead")])
def test_other_heads_stay_float(out, model, head, rows, cls):
    _, report, _ = out(model(small_llama.tensors(head=head, head_rows=rows), architectures=[cls]), *W4)
    assert len(report["linears"]) == small_llama.LINEARS and list(kept(report)) == [head]


def test_a_value_head_beside_the_model_is_no_obstacle(out, model):
    weights = small_llama.tensors()
    weights["v_head.summary.weight"], weights["v_head.summary.bias"] = np.ones((1, small_llama.HIDDEN), np.float32), np.zeros(1, np.float32)
    made, report, said = out(model(weights), *W4)
    assert "v_head.summary" in said and set(kept(report)) == {"lm_head", "v_head.summary"}
    assert np.array_equal(checkpoint.read_folder(made)["v_head.summary.bias"], np.zeros(1))


@pytest.mark.parametrize("classes", [["LlamaModel"], None])
def test_names_without_the_prefix(out, model, classes):
    weights = small_llama.tensors(prefix="", head="")
    _, report, _ = out(model(weights, architectures=classes), *W4)
    assert len(report["linears"]) == small_llama.LINEARS and not kept(report)


def test_biases_that_config_does_not_speak_of(out, model):
    made, report, _ = out(model(small_llama.tensors(bias=True)), *W4, "--format", "gptq")
    assert len(report["linears"]) == small_llama.LINEARS
    assert "model.layers.0.self_attn.q_proj.bias" in checkpoint.read_folder(made)


def test_no_head_in_the_files(out, model):
    _, report, said = out(model(small_llama.tensors(head="")), *W4)
    assert "lm_head" in said and len(report["linears"]) == small_llama.LINEARS and not kept(report)


@pytest.mark.parametrize("change, code", [(lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), "E0206"),
                                          (lambda t: t.pop("model.norm.weight"), "E0206"),
                                          (lambda t: t.update({"model.layers.2.mlp.up_proj.weight": t["model.layers.1.mlp.up_proj.weight"]}), "E0402"),
                                          (lambda t: t.update({"model.layers.0.mlp.up_proj.weight": t["model.layers.0.mlp.up_proj.weight"][1:]}), "E0207")])
def test_damaged_copies_of_known_models_are_refused(model, fails, change, code):
    weights = small_llama.tensors()
    change(weights)
    fails(code, 3, "quantize", model(weights), *W4)


def test_class_names_are_compared_without_case(out, model):
    _, report, said = out(model(architectures=["LLaMAForCausalLM"]), "--scheme", "w8a16")
    assert "warning" not in said and list(kept(report)) == ["lm_head"]


def test_a_tied_model_of_unknown_class_has_no_last_linear(out, pare, model):
    weights = small_llama.tensors(tied=True)
    folder = model(weights, architectures=["SmolLM3ForCausalLM"], model_type="smollm3", tie_word_embeddings=True)
    made, report, _ = out(folder, *W4, "--format", "gptq")
    assert len(report["linears"]) == small_llama.LINEARS and not kept(report)
    said = pare("check", made, "--target", "vllm", exit_code=4).stdout.decode()  # there is no tokenizer
    assert "ok    fused-alike" in said and "1 rule failed" in said and "FAIL  tokenizer-files" in said


def test_fused_parts_of_unknown_classes_are_warned_of(out, model):
    folder = model(architectures=["NewForCausalLM"], model_type="new")
    _, _, said = out(folder, *W4, "--disable-names", "*layers.1.self_attn.v_proj")
    assert "block 1: k_proj and q_proj quantized, v_proj kept in float" in said


def test_fallback_levels_keep_whole_sets(out, model, tmp_path):
    ids = small_llama.write_ids(tmp_path / "ids.jsonl")
    for level in range(1, 6):
        _, report, said = out(model() if level == 1 else tmp_path / "model", "--scheme", "w8a8", "--calib", ids, "--disable-level", f"L{level}")
        assert "fused sets" not in said
        names = set(kept(report)) - {"lm_head"}
        assert len(names) >= level
        for name in names:
            parent, last = name.rsplit(".", 1)
            for together in ({"q_proj", "k_proj", "v_proj"}, {"gate_proj", "up_proj"}):
                assert last not in together or {f"{parent}.{part}" for part in together} <= names


def test_all_misfits_of_a_group_size_are_named(model, fails):
    text = fails("E0317", 2, "quantize", model(), "--scheme", "w4a16", "--group-size", 128)
    assert all(f"model.layers.{block}.mlp.down_proj (192)" in text for block in range(small_llama.BLOCKS)) and "32, 64" in text


def test_weights_too_small_for_any_scale_are_an_error(model, fails):
    weights = small_llama.tensors()
    weights["model.layers.1.mlp.up_proj.weight"] *= 1e-9
    text = fails("E0502", 5, "quantize", model(weights), "--scheme", "w8a16")
    assert "model.layers.1.mlp.up_proj" in text and "--disable-names" in text


def test_a_row_too_small_for_any_scale_is_none(out, model):
    weights = small_llama.tensors()
    weights["model.layers.1.mlp.up_proj.weight"][5] *= 1e-9
    _, report, _ = out(model(weights), "--scheme", "w8a16")
    assert len(report["linears"]) == small_llama.LINEARS


# Mixtures of experts, by the names of their routers; experts have the names of the published models.
ROUTERS = {"mlp.gate": ("Qwen3MoeForCausalLM", "mlp.experts.{}.{}"), "block_sparse_moe.gate": ("MixtralForCausalLM", "block_sparse_moe.experts.{}.{}"),
           "mlp.router": ("NewMoeForCausalLM", "mlp.experts.{}.{}"), "feed_forward.router": ("Llama4ForCausalLM", "feed_forward.experts.{}.{}"),
           "block_sparse_moe.router.layer": ("GraniteMoeForCausalLM", "block_sparse_moe.experts.{}.{}")}


def mixture(router, experts, shared=False):
    weights = {name: array for name, array in small_llama.tensors().items() if ".mlp." not in name}
    rng = np.random.default_rng(11)
    for block in range(small_llama.BLOCKS):
        prefix = f"model.layers.{block}."
        weights[f"{prefix}{router}.weight"] = rng.standard_normal((4, small_llama.HIDDEN)).astype(np.float32)
        for expert in range(4):
            for part, shape in {"gate_proj": (64, 128), "up_proj": (64, 128), "down_proj": (128, 64)}.items():
                weights[prefix + experts.format(expert, part) + ".weight"] = rng.standard_normal(shape).astype(np.float32)
        if shared:
            weights[f"{prefix}mlp.shared_expert_gate.weight"] = rng.standard_normal((1, small_llama.HIDDEN)).astype(np.float32)
    return weights


@pytest.mark.parametrize("router", ROUTERS)
def test_routers_stay_float_and_are_named(out, model, router):
    cls, experts = ROUTERS[router]
    folder = model(mixture(router, experts), architectures=[cls], model_type=cls[:-11].lower())
    made, report, said = out(folder, *W4, "--format", "compressed-tensors,autoawq,gptq")
    routers = {f"model.layers.{block}.{router}" for block in range(small_llama.BLOCKS)}
    report = json.loads((made / "gptq" / "report.json").read_text())
    assert set(kept(report)) == routers | {"lm_head"} and "router" in said
    for layout in ("compressed-tensors", "autoawq", "gptq"):
        written = checkpoint.read_folder(made / layout)
        assert all(f"{name}.weight" in written for name in routers)
    config = json.loads((made / "compressed-tensors" / "config.json").read_text())["quantization_config"]
    assert routers <= set(config["ignore"])
    config = json.loads((made / "autoawq" / "config.json").read_text())["quantization_config"]
    assert all(any(part in name for part in config["modules_to_not_convert"]) for name in routers)
    experts_parts = [part for part in ("gate_proj", "up_proj") if any(word in part for word in config["modules_to_not_convert"])]
    assert not experts_parts


def test_stacked_experts_are_said_to_stay_float(out, model):
    weights = mixture("mlp.gate", "mlp.experts.{}.{}")
    stacked = np.stack([weights.pop(f"model.layers.0.mlp.experts.{expert}.gate_proj.weight") for expert in range(4)])
    weights["model.layers.0.mlp.experts.gate_proj"] = np.concatenate([stacked] * 8)
    _, _, said = out(model(weights, architectures=["NewMoeForCausalLM"], model_type="new_moe"), *W4)
    assert "model.layers.0.mlp.experts.gate_proj [32, 64, 128]" in said


def test_weights_that_lie_transposed_are_refused(fails, model):
    weights = {"wte.weight": np.ones((512, 64), np.float32), "h.0.attn.c_attn.weight": np.ones((64, 192), np.float32),
               "h.0.attn.c_proj.weight": np.ones((64, 64), np.float32), "ln_f.weight": np.ones(64, np.float32)}
    assert "Conv1D" in fails("E0403", 4, "quantize", model(weights, architectures=["GPT2LMHeadModel"], model_type="gpt2"), *W4)


def test_gates_of_one_row_stay_float(out, model):
    folder = model(mixture("mlp.gate", "mlp.experts.{}.{}", shared=True), architectures=["Qwen2MoeForCausalLM"], model_type="qwen2_moe")
    _, report, _ = out(folder, *W4)
    assert {name.rsplit(".", 1)[-1] for name in kept(report)} == {"gate", "shared_expert_gate", "lm_head"}
