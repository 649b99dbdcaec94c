"""GGUF files read by the PyPI `gguf` package: header, blocks and vocabulary, against what Pare's other layouts hold."""
import json
import shutil

import gguf
import numpy as np
import pytest
import sentencepiece
from support import checkpoint, program

MODELS = program.GOLDEN / "models"
W4 = ("--scheme", "w4a16", "--group-size")
DEMO, TINY = program.PROJECT_ROOT / "demo" / "model", MODELS / "llama-gqa"
HEADS = {DEMO: {"q": 4, "k": 4}, TINY: {"q": 4, "k": 2}}
QUANTIZED = [(DEMO, (*W4, "64")), (DEMO, (*W4, "128")), (TINY, (*W4, "32")), (TINY, ("--scheme", "w4a16")), (TINY, ("--scheme", "w8a16")),
             (TINY, ("--scheme", "w8a8-dynamic"))]
BLOCK = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
         "ffn_norm": "post_attention_layernorm", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def read(folder):
    (path,) = folder.glob("*.gguf")
    return gguf.GGUFReader(path)


def field(reader, key):
    return reader.fields[key].contents()


def model_name(name):
    stem, _, part = name.rpartition(".")
    if stem in WHOLE:
        return f"{WHOLE[stem]}.{part}"
    _, number, module = stem.split(".")
    return f"model.layers.{number}.{BLOCK[module]}.{part}"


def rows_of_model(name, rows, heads):
    """Rows of q and k back from rotary pairs side by side: row 2r + t of a head is row t d/2 + r."""
    for module, count in heads.items():
        if f".attn_{module}." in name:
            d = rows.shape[0] // count
            return rows.reshape(count, d // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
    return rows


def weights_of(reader, heads):
    return {model_name(t.name): rows_of_model(t.name, gguf.quants.dequantize(t.data, t.tensor_type), heads) for t in reader.tensors}


@pytest.mark.parametrize("model, options", QUANTIZED)
def test_blocks_hold_the_weights_of_other_layouts(quantize, model, options):
    """Both from one run, so from the same codes: every dequantized weight is equal to the last bit."""
    both = quantize(*options, "--format", "gguf,dequantized", model=model, calib=None)
    expected = checkpoint.read_folder(both / "dequantized")
    found = weights_of(read(both / "gguf"), HEADS[model])
    assert found.keys() == expected.keys()
    for tensor, values in found.items():
        # In a BF16 model the dequantized folder has rounded code times scale once more.
        assert np.array_equal(values.astype(expected[tensor].dtype), expected[tensor]), tensor


def test_types_and_sizes(quantize, demo_model):
    reader = read(quantize(*W4, "64", "--format", "gguf", calib=None))
    config = json.loads((demo_model / "config.json").read_text())
    assert field(reader, "general.architecture") == "llama" and field(reader, "general.file_type") == 2
    for key, name in (("context_length", "max_position_embeddings"), ("embedding_length", "hidden_size"), ("block_count", "num_hidden_layers"),
                      ("feed_forward_length", "intermediate_size"), ("attention.head_count", "num_attention_heads"), ("vocab_size", "vocab_size")):
        assert field(reader, f"llama.{key}") == config[name]
    assert field(reader, "llama.attention.layer_norm_rms_epsilon") == pytest.approx(config["rms_norm_eps"])
    assert field(reader, "llama.rope.freq_base") == pytest.approx(config.get("rope_theta", 10000.0))
    types = {t.name: t.tensor_type.name for t in reader.tensors}
    assert types["blk.0.attn_q.weight"] == "Q4_0" and types["token_embd.weight"] == "BF16" and types["blk.0.attn_norm.weight"] == "F32"


def test_the_vocabulary_is_the_tokenizers(quantize, demo_model):
    reader = read(quantize(*W4, "64", "--format", "gguf", calib=None))
    judge = sentencepiece.SentencePieceProcessor(model_file=str(demo_model / "tokenizer.model"))
    assert field(reader, "tokenizer.ggml.model") == "llama"
    assert field(reader, "tokenizer.ggml.tokens") == [judge.id_to_piece(i) for i in range(judge.vocab_size())]
    assert field(reader, "tokenizer.ggml.scores") == pytest.approx([judge.get_score(i) for i in range(judge.vocab_size())])
    assert field(reader, "tokenizer.ggml.bos_token_id") == judge.bos_id() and field(reader, "tokenizer.ggml.eos_token_id") == judge.eos_id()


@pytest.mark.parametrize("name", ["qwen2-tied", "qwen3"])
def test_other_architectures_keep_the_order_of_rows(quantize, name):
    both = quantize("--scheme", "w8a16", "--format", "gguf,dequantized", model=MODELS / name, calib=None)
    reader, expected = read(both / "gguf"), checkpoint.read_folder(both / "dequantized")
    found = weights_of(reader, {})
    assert field(reader, "general.architecture") == name.split("-")[0]
    assert found.keys() == expected.keys() and all(np.array_equal(found[tensor], expected[tensor]) for tensor in found)


def test_the_folder_computes_what_other_layouts_compute(quantize):
    both = quantize(*W4, "64", "--format", "ascend-v1,gguf", calib=None)
    assert program.perplexity(both / "gguf") == program.perplexity(both / "ascend-v1")


def test_there_and_back(pare, quantize, tmp_path):
    first = quantize(*W4, "64", "--format", "gptq", calib=None)
    pare("convert", first, "--to", "gguf", "-o", tmp_path / "gguf")
    pare("convert", tmp_path / "gguf", "--to", "gptq", "-o", tmp_path / "back")
    left, right = checkpoint.read_folder(first), checkpoint.read_folder(tmp_path / "back")
    assert left.keys() == right.keys()
    assert all(np.array_equal(left[name], right[name].astype(left[name].dtype)) for name in left)


@pytest.mark.parametrize("options, says", [
    (("--scheme", "w8a16", "--asym"), "zero points of 8-bit weights"), (("--scheme", "w8a16", "--mm-tensor"), "--mm-tensor"),
    ((*W4, "64", "--asym"), "Q4_1")])
def test_what_has_no_place_is_refused(pare, demo_model, tmp_path, options, says):
    text = pare("quantize", demo_model, "-o", tmp_path / "out", *options, "--format", "gguf", exit_code=4).stderr.decode()
    assert says in text and not list(tmp_path.iterdir())


def test_a_bias_that_llama_cpp_does_not_load_is_refused(pare, tmp_path):
    text = pare("quantize", MODELS / "qwen3-bias-tied", "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "gguf", exit_code=4).stderr.decode()
    assert "no place for the bias of model.layers.0.self_attn.o_proj" in text


@pytest.mark.parametrize("damage", [lambda file: file[:-40], lambda file: file[:300], lambda file: b"GGML" + file[4:]])
def test_a_damaged_file_is_one_error(pare, quantize, tmp_path, demo_text, damage):
    folder = shutil.copytree(quantize(*W4, "64", "--format", "gguf", calib=None), tmp_path / "damaged")
    (path,) = folder.glob("*.gguf")
    path.write_bytes(damage(path.read_bytes()))
    text = pare("eval", folder, "--ppl", demo_text, "--windows", 1, exit_code=3).stderr.decode()
    assert "error[E0213]" in text and str(path) in text


# --- what the file is called, and tokens with a task -----------------------------------------------------------------

def quantized_copy(pare, source, folder, change=lambda folder: None):
    """A GGUF file of a copy of a model whose small files went through `change`."""
    shutil.copytree(source, folder)
    change(folder)
    pare("quantize", folder, "-o", folder.parent / "out", *W4, "64", "--format", "gguf")
    return read(folder.parent / "out")


def with_json(name, **values):
    def change(folder):
        held = json.loads((folder / name).read_text())
        held.update(values)
        (folder / name).write_text(json.dumps({key: value for key, value in held.items() if value is not ...}))
    return change


@pytest.mark.parametrize("folder, change, expected", [
    ("SmolLM2-135M-instruct-v0.1", lambda folder: None, "SmolLM2 135M Instruct v0.1"),
    ("models--org--small-model/snapshots/0a1b2c", lambda folder: None, "Small Model"),
    ("7f3a", with_json("config.json", _name_or_path="org/Tiny-llama"), "Tiny Llama"),
    ("my-llama", with_json("config.json", _name_or_path="./checkpoints/step-100"), "My Llama"),
    ("x", lambda folder: (folder / "README.md").write_text("---\nlicense: mit\nmodel_name: 'A name'\n---\n# Card\n"), "A name"),
    ("just-a-card", lambda folder: (folder / "README.md").write_text("# Card\nname: no\n"), "Just A Card"),
])
def test_the_name_is_the_models(pare, demo_model, tmp_path, folder, change, expected):
    assert field(quantized_copy(pare, demo_model, tmp_path / folder, change), "general.name") == expected


def test_the_name_of_a_folder_given_as_a_dot(pare, demo_model, tmp_path, monkeypatch):
    shutil.copytree(demo_model, tmp_path / "my-model")
    monkeypatch.chdir(tmp_path / "my-model")
    pare("quantize", ".", "-o", tmp_path / "out", *W4, "64", "--format", "gguf")
    assert field(read(tmp_path / "out"), "general.name") == "My Model"


@pytest.mark.parametrize("change, padding", [
    (with_json("tokenizer_config.json", pad_token="</s>"), 2),
    (with_json("tokenizer_config.json", pad_token={"content": "<unk>"}), 0),
    (with_json("config.json", pad_token_id=1), 1),
    (with_json("config.json", pad_token_id=-1), None),
    (with_json("config.json", pad_token_id=[5]), None),
    (with_json("special_tokens_map.json", pad_token="<s>"), 1),
])
def test_the_padding_token_is_named(pare, demo_model, tmp_path, change, padding):
    def only(folder):
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            with_json(name, pad_token=...)(folder)
        with_json("config.json", pad_token_id=...)(folder)
        change(folder)

    reader = quantized_copy(pare, demo_model, tmp_path / "model", only)
    found = field(reader, "tokenizer.ggml.padding_token_id") if "tokenizer.ggml.padding_token_id" in reader.fields else None
    assert found == padding
    assert field(reader, "tokenizer.ggml.unknown_token_id") == 0


def test_the_unknown_token_of_byte_level_tokenizers_is_named(pare, tmp_path):
    """Their vocabulary has none of its own: the small files say which token stands for it."""
    model = tmp_path / "model"
    shutil.copytree(MODELS / "llama-gqa", model)
    for path in (program.GOLDEN / "tokenizers" / "qwen2").iterdir():
        shutil.copyfile(path, model / path.name)
    table = json.loads((model / "tokenizer.json").read_text())
    rows = 1 + max([*table["model"]["vocab"].values(), *(token["id"] for token in table["added_tokens"])])
    special = table["added_tokens"][0]
    config = json.loads((model / "config.json").read_text()) | {"vocab_size": rows}
    (model / "config.json").write_text(json.dumps(config))
    tensors = checkpoint.read_folder(model)
    for path in (*model.glob("*.safetensors"), *model.glob("*.index.json")):
        path.unlink()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = np.resize(tensors[name], (rows, tensors[name].shape[1]))
    checkpoint.write_file(model / "model.safetensors", tensors)
    held = json.loads((model / "tokenizer_config.json").read_text()) | {"unk_token": special["content"], "pad_token": special["content"]}
    (model / "tokenizer_config.json").write_text(json.dumps(held))
    pare("quantize", model, "-o", tmp_path / "out", "--scheme", "w8a16", "--format", "gguf")
    reader = read(tmp_path / "out")
    assert field(reader, "tokenizer.ggml.unknown_token_id") == special["id"] == field(reader, "tokenizer.ggml.padding_token_id")
