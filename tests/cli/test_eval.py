"""`pare eval`, `compare`, `generate` and `tokenize` on the demo model, and what they say to bad input."""
import json
import math
import shutil

import numpy as np
import pytest
from support import program

CONTEXT = ("--context", 128, "--windows", 4)


@pytest.fixture
def model(demo_model, tmp_path):
    """A copy of the demo model to damage."""
    return shutil.copytree(demo_model, tmp_path / "model")


@pytest.fixture
def fails(pare):
    def run(code, exit_code, *arguments):
        done = pare(*arguments, exit_code=exit_code)
        text = done.stderr.decode()
        assert f"error[{code}]" in text, text
        assert done.stdout == b""
        return text
    return run


def evaluate(*arguments):
    return program.run_json("eval", *arguments)


# --- eval ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("context, expected, windows", [(256, 40.01, 12), (512, 39.28, 6)])
def test_perplexity_of_the_demo_model(demo_model, demo_text, context, expected, windows):
    """The values are Hugging Face transformers' in float32."""
    found = evaluate(demo_model, "--ppl", demo_text, "--protocol", "gptq", "--context", context)
    assert found["perplexity"] == pytest.approx(expected, abs=0.006)
    assert (found["windows"], found["tokens"]) == (windows, windows * (context - 1))


def test_eval_json_is_one_object(pare, demo_model, demo_text):
    printed = pare("eval", demo_model, "--ppl", demo_text, *CONTEXT, "--json").stdout.decode()
    found = json.loads(printed)
    assert printed.count("\n") == 1
    assert found["schema"] == 1 and found["protocol"] == "gptq" and found["context"] == 128
    assert found["kind"] == "float" and found["compute"] == "f32" and found["windows"] == 4
    assert found["tokens"] == 4 * 127 and 0 < found["stderr"] < found["perplexity"]
    assert found["perplexity"] == pytest.approx(math.exp(found["nll"]), rel=1e-12)
    assert len(found["ids_sha256"]) == 64 and found["seconds"] > 0 and found["peak_rss_bytes"] > 0


def test_eval_text_says_the_same(pare, demo_model, demo_text):
    text = pare("eval", demo_model, "--ppl", demo_text, *CONTEXT).stdout.decode()
    found = evaluate(demo_model, "--ppl", demo_text, *CONTEXT)
    assert f"{found['perplexity']:.4f} ± {found['stderr']:.4f}" in text
    assert "gptq-128: 4 windows, 508 tokens" in text and found["ids_sha256"][:12] in text


def test_llamacpp_scores_the_second_half(demo_model, demo_text):
    found = evaluate(demo_model, "--ppl", demo_text, "--protocol", "llamacpp", *CONTEXT)
    assert found["protocol"] == "llamacpp" and found["tokens"] == 4 * 63


def test_the_default_context_fits_the_model(demo_model, demo_text):
    assert evaluate(demo_model, "--ppl", demo_text)["context"] == 512  # the model has 512 positions


def test_the_same_bits_for_any_number_of_threads(demo_model, demo_text):
    one, three = (evaluate(demo_model, "--ppl", demo_text, *CONTEXT, "--threads", n) for n in (1, 3))
    assert (one["threads"], three["threads"]) == (1, 3)
    assert (one["nll"], one["stderr"]) == (three["nll"], three["stderr"])


def test_bf16_is_close_and_named(demo_model, demo_text):
    f32, bf16 = (evaluate(demo_model, "--ppl", demo_text, *CONTEXT, "--compute", c) for c in ("auto", "bf16"))
    assert (f32["compute"], bf16["compute"]) == ("f32", "bf16")
    assert bf16["perplexity"] != f32["perplexity"]
    assert bf16["perplexity"] == pytest.approx(f32["perplexity"], rel=0.02)


def test_json_lines_are_joined_by_an_empty_line(demo_model, demo_text, tmp_path):
    text = demo_text.read_text(encoding="utf-8")[:4000]
    half = len(text) // 2
    (tmp_path / "a.txt").write_text(text[:half] + "\n\n" + text[half:], encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text[:half]}) + "\n" + json.dumps({"text": text[half:]}) + "\n")
    plain, lines = (evaluate(demo_model, "--ppl", tmp_path / name, *CONTEXT) for name in ("a.txt", "a.jsonl"))
    assert plain["ids_sha256"] == lines["ids_sha256"] and plain["nll"] == lines["nll"]


def test_windows_longer_than_the_model_are_warned_of(pare, demo_model, demo_text):
    done = pare("eval", demo_model, "--ppl", demo_text, "--context", 600, "--windows", 1)
    assert b"warning" in done.stderr and b"512 positions" in done.stderr


def test_logits_need_no_tokenizer(pare, model, tmp_path):
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        (model / name).unlink()
    ids = tmp_path / "ids.jsonl"
    ids.write_text('{"input_ids": [1, 2, 3]}\n{"input_ids": [1, 4095]}\n')
    done = pare("eval", model, "--input-ids", ids, "--logits-to", tmp_path / "out.npy")
    logits = np.load(tmp_path / "out.npy")
    assert logits.shape == (5, 4096) and logits.dtype == np.float32 and np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[3]).max() < 1e-4 * np.abs(logits).max()  # both are after BOS alone
    assert b"5 rows" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ids.jsonl", "model", "out.npy"]


@pytest.mark.parametrize("line", ['{"input_ids": [1, 4096]}', '{"input_ids": [-1]}'])
def test_token_outside_the_vocabulary(fails, demo_model, tmp_path, line):
    ids = tmp_path / "ids.jsonl"
    ids.write_text('{"input_ids": [1]}\n' + line + "\n")
    fails("E0407", 3, "eval", demo_model, "--input-ids", ids, "--logits-to", tmp_path / "out.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["ids.jsonl"]


def test_logits_that_cannot_be_written(fails, demo_model, tmp_path):
    ids = tmp_path / "ids.jsonl"
    ids.write_text('{"input_ids": [1]}\n')
    fails("E0602", 3, "eval", demo_model, "--input-ids", ids, "--logits-to", tmp_path / "no" / "out.npy")
    fails("E0602", 3, "eval", demo_model, "--input-ids", ids, "--logits-to", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ids.jsonl"]


def test_text_shorter_than_a_window(fails, demo_model, tmp_path):
    file = tmp_path / "short.txt"
    file.write_text("It was late.")
    text = fails("E0209", 3, "eval", demo_model, "--ppl", file, "--context", 128)
    assert "one window needs 128" in text and str(file) in text
    file.write_text("")
    fails("E0209", 3, "compare", demo_model, demo_model, "--ppl", file, "--context", 128)


def test_a_missing_text_is_named(fails, demo_model, tmp_path):
    assert "gone.txt" in fails("E0201", 3, "eval", demo_model, "--ppl", tmp_path / "gone.txt")


def test_a_line_without_text(fails, demo_model, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "a"}\n{"txt": "b"}\n')
    assert "a.jsonl:2" in fails("E0209", 3, "eval", demo_model, "--ppl", file)


@pytest.mark.parametrize("verb", [["eval", "--ppl", "TEXT"], ["generate", "--prompt", "x"], ["tokenize", "TEXT"]],
                         ids=lambda words: words[0])
def test_tokenizer_missing(fails, model, demo_text, verb):
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        (model / name).unlink()
    name, *options = [demo_text if word == "TEXT" else word for word in verb]
    text = fails("E0404", 3, name, model, *options)
    assert "tokenizer" in text and str(model) in text


@pytest.mark.parametrize("content, code, exit_code", [
    ("{", "E0203", 3), ("[]", "E0402", 3), ('{"model_type": "gemma"}', "E0401", 4),
    ('{"model_type": "llama", "hidden_size": "big"}', "E0402", 3), ('{"model_type": 7}', "E0402", 3)])
def test_broken_config(fails, model, demo_text, content, code, exit_code):
    (model / "config.json").write_text(content)
    assert "config.json" in fails(code, exit_code, "eval", model, "--ppl", demo_text)


@pytest.mark.parametrize("change, code", [({"num_hidden_layers": 7}, "E0206"), ({"num_hidden_layers": 5}, "E0402"),
                                          ({"intermediate_size": 100}, "E0207")])
@pytest.mark.parametrize("kind", ["float", "quantized"])
def test_config_that_contradicts_the_tensors(fails, quantize, model, demo_text, tmp_path, kind, change, code):
    if kind == "quantized":
        model = shutil.copytree(quantize("--scheme", "w8a16", calib=None), tmp_path / "quantized")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").chmod(0o600)
    (model / "config.json").write_text(json.dumps({**config, **change}))
    fails(code, 3, "eval", model, "--ppl", demo_text, *CONTEXT)


def test_missing_weights(fails, model, demo_text):
    (model / "model.safetensors").unlink()
    fails("E0201", 3, "eval", model, "--ppl", demo_text)


# --- compare ---------------------------------------------------------------------------------------------------------

def test_a_model_with_itself_is_exactly_equal(demo_model, demo_text):
    found = program.run_json("compare", demo_model, demo_model, "--ppl", demo_text, *CONTEXT)
    assert (found["kl_mean"], found["kl_max"], found["kl_stderr"], found["kl_p99"]) == (0, 0, 0, 0)
    assert (found["top1_agreement"], found["perplexity_ratio"], found["perplexity_ratio_stderr"]) == (1, 1, 0)
    assert found["perplexity_base"] == evaluate(demo_model, "--ppl", demo_text, *CONTEXT)["perplexity"]


def test_compare_sees_a_quantized_model(pare, quantize, demo_model, demo_text):
    other = quantize("--scheme", "w4a16", "--group-size", "64", calib=None)
    found = program.run_json("compare", demo_model, other, "--ppl", demo_text, *CONTEXT)
    assert 0 < found["kl_median"] < found["kl_p99"] <= found["kl_max"]
    assert 0 < found["kl_mean"] < 0.1 and 0 < found["kl_stderr"] < found["kl_mean"]
    assert 0.5 < found["top1_agreement"] < 1
    assert found["perplexity_ratio"] == pytest.approx(found["perplexity_other"] / found["perplexity_base"], rel=1e-12)
    assert found["perplexity_other"] == evaluate(other, "--ppl", demo_text, *CONTEXT)["perplexity"]
    table = pare("compare", demo_model, other, "--ppl", demo_text, *CONTEXT).stdout.decode()
    assert f"{found['kl_mean']:.6f}" in table and "perplexity ratio" in table


def test_vocabularies_must_agree(fails, demo_model, demo_text):
    other = program.GOLDEN / "models" / "llama-mha"
    assert "vocabularies" in fails("E0101", 2, "compare", demo_model, other, "--ppl", demo_text, *CONTEXT)


# --- generate --------------------------------------------------------------------------------------------------------

PROMPT = "It was late in the evening when"


def generated(pare, demo_model, *options):
    return pare("generate", demo_model, "--prompt", PROMPT, "--max-new-tokens", 24, *options).stdout.decode()


def test_greedy_text_is_the_same_every_time(pare, demo_model):
    text = generated(pare, demo_model)
    assert text.startswith(PROMPT + " ") and text.endswith("\n") and len(text) > len(PROMPT) + 30
    assert text == generated(pare, demo_model, "--threads", 3)


def test_a_seed_decides_the_text(pare, demo_model):
    warm = ("--temperature", "0.9", "--top-p", "0.95")
    first = generated(pare, demo_model, *warm, "--seed", 1)
    assert first == generated(pare, demo_model, *warm, "--seed", 1, "--threads", 1)
    assert first != generated(pare, demo_model, *warm, "--seed", 2)
    assert first != generated(pare, demo_model)


def test_greedy_goes_where_the_logits_point(pare, demo_model, tmp_path):
    """The first token generated is the argmax of the logits behind the prompt."""
    ids = list(map(int, pare("tokenize", demo_model, stdin=PROMPT.encode()).stdout.split()))
    (tmp_path / "ids.jsonl").write_text(json.dumps({"input_ids": ids}))
    pare("eval", demo_model, "--input-ids", tmp_path / "ids.jsonl", "--logits-to", tmp_path / "out.npy")
    best = int(np.load(tmp_path / "out.npy")[-1].argmax())
    text = program.run_json("generate", demo_model, "--prompt", PROMPT, "--max-new-tokens", 1)["text"]
    longer = list(map(int, pare("tokenize", demo_model, stdin=(PROMPT + text).encode()).stdout.split()))
    assert longer == [*ids, best]


def test_prompt_from_stdin_and_json(pare, demo_model):
    done = pare("generate", demo_model, "--prompt", "-", "--max-new-tokens", 24, stdin=PROMPT.encode())
    assert done.stdout.decode() == generated(pare, demo_model)
    assert b"24 tokens" in done.stderr
    found = program.run_json("generate", demo_model, "--prompt", PROMPT, "--max-new-tokens", 24)
    assert PROMPT + found["text"] + "\n" == done.stdout.decode()
    assert found["new_tokens"] == 24 and found["prompt_tokens"] > 5


# --- tokenize --------------------------------------------------------------------------------------------------------

def test_tokenize_shapes(pare, demo_model, tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("The river\n\nrose.".encode())
    (whole,) = pare("tokenize", demo_model, file).stdout.decode().splitlines()
    assert whole.split()[0] == "1"  # BOS, once
    lines = pare("tokenize", demo_model, file, "--lines").stdout.decode().split("\n")
    assert len(lines) == 4 and lines[1] == "1" and lines[3] == ""
    pieces = pare("tokenize", demo_model, file, "--pieces").stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in pieces] == whole.split()
    assert pare("tokenize", demo_model, stdin=file.read_bytes()).stdout.decode().strip() == whole
    assert pare("tokenize", demo_model, "-", stdin=file.read_bytes()).stdout.decode().strip() == whole


def test_tokenize_needs_the_tokenizer_only(pare, demo_model, tmp_path):
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(demo_model / name, folder)
    assert pare("tokenize", folder, stdin=b"x").stdout == pare("tokenize", demo_model, stdin=b"x").stdout
