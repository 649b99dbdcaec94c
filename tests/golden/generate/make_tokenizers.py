"""Makes the small tokenizers of tests/golden/tokenizers and the ids that the real libraries give for hostile texts.

    python make_tokenizers.py            makes everything again (needs tokenizers, sentencepiece)
    python make_tokenizers.py --check    encodes again with the installed libraries and compares; writes nothing

golden.jsonl has one object per text: `text`, `ids` (special tokens added as the tokenizer's default says) and
`ids_plain` (none added).
"""
import argparse
import io
import json
import pathlib
import shutil
import sys

import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from hostile_texts import HOSTILE_TEXTS

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "tokenizers"
CORPUS = (HERE / "corpus.txt").read_text(encoding="utf-8")
BYTE_LEVEL_VOCAB = 600
QWEN2_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
               r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3_SPLIT = QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def special(text, **flags):
    return AddedToken(text, special=True, **{"normalized": False, **flags})


def plain(text, **flags):
    return AddedToken(text, special=False, **flags)


def split_then_bytes(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])


def train_byte_level(normalizer, pre_tokenizer, **model_options):
    tokenizer = Tokenizer(models.BPE(**model_options))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=BYTE_LEVEL_VOCAB, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS.splitlines(keepends=True), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def with_extra_words(tokenizer, words):
    """Whole words in the vocabulary that no merge makes: only ignore_merges finds them."""
    data = json.loads(tokenizer.to_str())
    for word in words:
        data["model"]["vocab"][word] = len(data["model"]["vocab"])
    return Tokenizer.from_str(json.dumps(data))


def qwen2():
    tokenizer = train_byte_level(normalizers.NFC(), split_then_bytes(QWEN2_SPLIT))
    tokenizer.add_special_tokens([special("<|endoftext|>"), special("<|im_start|>"), special("<|im_end|>")])
    tokenizer.add_tokens([plain("<tool>", normalized=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def llama3():
    tokenizer = train_byte_level(None, split_then_bytes(LLAMA3_SPLIT), ignore_merges=True)
    tokenizer = with_extra_words(tokenizer, ["quantization", "Ġquantization", "123"])
    tokenizer.add_special_tokens([special("<|begin_of_text|>"), special("<|end_of_text|>")])
    bos = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", bos)])])
    return tokenizer


def gpt_neox():
    tokenizer = train_byte_level(normalizers.NFC(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True))
    tokenizer.add_special_tokens([special("<|endoftext|>"), special("<|padding|>")])
    tokenizer.add_tokens([plain(" " * n, normalized=True) for n in range(24, 1, -1)])
    tokenizer.add_tokens([plain("\u00e9t\u00e9", normalized=True)])
    return tokenizer


def added_flags():
    """lstrip, rstrip, single_word and overlapping added tokens."""
    tokenizer = train_byte_level(normalizers.NFC(), split_then_bytes(QWEN2_SPLIT))
    tokenizer.add_special_tokens([special("<mask>", lstrip=True), special("<sep>", rstrip=True)])
    tokenizer.add_tokens([plain("whole", single_word=True, normalized=False), plain("<tool>", normalized=False),
                          plain("<tool><tool>", normalized=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def train_sentencepiece(**options):
    """LLaMA's settings on our text unless told otherwise; unseen characters fall back to bytes."""
    settings = dict(vocab_size=720, model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                    remove_extra_whitespaces=False, split_digits=True, character_coverage=0.98,
                    allow_whitespace_only_pieces=True, max_sentence_length=8192, num_threads=1, minloglevel=2)
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.splitlines()), model_writer=out, **{**settings, **options})
    return out.getvalue()


def merges_of(model_bytes):
    """SentencePiece scores as a merge list: pairs whose union is a piece, best score first, as converters do it."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
    vocab = {processor.id_to_piece(i): i for i in range(processor.get_piece_size())}
    mergeable = {p for p, i in vocab.items()
                 if not (processor.is_byte(i) or processor.is_control(i) or processor.is_unknown(i))}
    merges = []
    for piece, index in vocab.items():
        if piece in mergeable:
            pairs = [(piece[:k], piece[k:]) for k in range(1, len(piece)) if piece[:k] in mergeable and piece[k:] in mergeable]
            merges += [(index, vocab[a], vocab[b], a, b) for a, b in pairs]
    return vocab, [(a, b) for _, _, _, a, b in sorted(merges)]


def llama_tokenizer(model_bytes, metaspace):
    vocab, merges = merges_of(model_bytes)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    # The older files mark the specials normalized, the newer do not; the text after a special differs.
    tokenizer.add_special_tokens([special(t, normalized=not metaspace) for t in ("<unk>", "<s>", "</s>")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    return tokenizer


def write_golden(folder, encode):
    with open(folder / "golden.jsonl", "w", encoding="utf-8") as out:
        for text in HOSTILE_TEXTS:
            line = {"text": text, "ids": encode(text, True), "ids_plain": encode(text, False)}
            out.write(json.dumps(line, ensure_ascii=True) + "\n")


def library_encode(tokenizer):
    return lambda text, specials: tokenizer.encode(text, add_special_tokens=specials).ids


def sentencepiece_encode(processor, add_bos):
    def encode(text, specials):
        return ([processor.bos_id()] if specials and add_bos else []) + processor.encode(text)
    return encode


def new_folder(name, config):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def write_library_tokenizer(name, tokenizer, config):
    folder = new_folder(name, config)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_golden(folder, library_encode(tokenizer))


def write_sentencepiece(name, model_bytes, config):
    folder = new_folder(name, config)
    (folder / "tokenizer.model").write_bytes(model_bytes)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
    write_golden(folder, sentencepiece_encode(processor, config["add_bos_token"]))


def write_vocab_and_merges(name, tokenizer, config):
    """The older Qwen2 file pair, with the CRLF line ends that some published merges.txt have."""
    data = json.loads(tokenizer.to_str())
    folder = new_folder(name, {**config, "added_tokens_decoder": {
        str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in data["added_tokens"]}})
    (folder / "vocab.json").write_text(json.dumps(data["model"]["vocab"], ensure_ascii=False), encoding="utf-8")
    pairs = [" ".join(m) if isinstance(m, list) else m for m in data["model"]["merges"]]
    (folder / "merges.txt").write_bytes(("#version: 0.2\r\n" + "".join(p + "\r\n" for p in pairs)).encode("utf-8"))
    write_golden(folder, library_encode(tokenizer))


LLAMA_CONFIG = {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                "pad_token": None, "clean_up_tokenization_spaces": False, "legacy": True, "tokenizer_class": "LlamaTokenizer"}
QWEN2_CONFIG = {"add_prefix_space": False, "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                "unk_token": None, "errors": "replace", "clean_up_tokenization_spaces": False, "tokenizer_class": "Qwen2Tokenizer"}
LLAMA3_CONFIG = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>", "clean_up_tokenization_spaces": True,
                 "tokenizer_class": "PreTrainedTokenizerFast"}
NEOX_CONFIG = {"add_prefix_space": False, "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
               "unk_token": "<|endoftext|>", "clean_up_tokenization_spaces": False, "tokenizer_class": "GPTNeoXTokenizer"}


def make_all():
    write_library_tokenizer("qwen2", qwen2(), QWEN2_CONFIG)
    write_vocab_and_merges("qwen2-vocab-merges", qwen2(), QWEN2_CONFIG)
    write_library_tokenizer("llama3", llama3(), LLAMA3_CONFIG)
    write_library_tokenizer("gpt-neox", gpt_neox(), NEOX_CONFIG)
    write_library_tokenizer("added-flags", added_flags(), QWEN2_CONFIG)
    model = train_sentencepiece()
    write_sentencepiece("llama-sentencepiece", model, LLAMA_CONFIG)
    write_library_tokenizer("llama-bpe", llama_tokenizer(model, metaspace=False), LLAMA_CONFIG)
    write_library_tokenizer("llama-metaspace", llama_tokenizer(model, metaspace=True), {**LLAMA_CONFIG, "legacy": False})
    write_sentencepiece("sentencepiece-user-symbols",
                        train_sentencepiece(user_defined_symbols=["<tool>", "<sep>", "whole", "🙂", "  "], add_dummy_prefix=False),
                        {**LLAMA_CONFIG, "add_bos_token": False})
    write_sentencepiece("sentencepiece-unigram", train_sentencepiece(model_type="unigram", remove_extra_whitespaces=True),
                        LLAMA_CONFIG)
    versions = {"made_by": "python tests/golden/generate/make_tokenizers.py", "python": sys.version.split()[0],
                "tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__}
    (OUT / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


def encoder_of(folder):
    if (folder / "tokenizer.json").exists():
        return library_encode(Tokenizer.from_file(str(folder / "tokenizer.json")))
    if (folder / "tokenizer.model").exists():
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        return sentencepiece_encode(sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")),
                                    config["add_bos_token"])
    return encoder_of(folder.with_name("qwen2"))  # vocab.json + merges.txt of the same tokenizer


def check():
    wrong = 0
    for golden in sorted(OUT.glob("*/golden.jsonl")):
        encode = encoder_of(golden.parent)
        for line in golden.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            wrong += encode(case["text"], True) != case["ids"] or encode(case["text"], False) != case["ids_plain"]
        print(f"{golden.parent.name}: {len(HOSTILE_TEXTS)} texts")
    print(f"{wrong} differ")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="encode again and compare only")
    if parser.parse_args().check:
        return check()
    make_all()
    return check()


if __name__ == "__main__":
    sys.exit(main())
