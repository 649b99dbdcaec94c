"""Token ids from the real libraries: `tokenizers` and `sentencepiece`."""
import json
import pathlib

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

# The pre-tokenizer of Qwen2 as its published tokenizer.json states it.
QWEN2_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
               r"|\s*[\r\n]+|\s+(?!\S)|\s+")


class LibraryJudge:
    """tokenizer.json by the `tokenizers` library."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer

    @classmethod
    def from_file(cls, path):
        return cls(Tokenizer.from_file(str(path)))

    def encode(self, text):
        return self._tokenizer.encode(text).ids

    def encode_all(self, texts):
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]

    def piece(self, index):
        return self._tokenizer.id_to_token(index)


class SentencePieceJudge:
    """tokenizer.model by the `sentencepiece` library; BOS as tokenizer_config.json says."""

    def __init__(self, path):
        self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        config = json.loads((pathlib.Path(path).parent / "tokenizer_config.json").read_text(encoding="utf-8"))
        self._prefix = [self._processor.bos_id()] if config.get("add_bos_token", True) else []

    def encode(self, text):
        return self._prefix + self._processor.encode(text)

    def encode_all(self, texts):
        return [self.encode(text) for text in texts]

    def piece(self, index):
        return self._processor.id_to_piece(index)


def qwen2_judge(folder):
    """vocab.json + merges.txt put together as Qwen2 does: NFC, regex split, byte level, BPE, specials from the config."""
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    lines = [line.rstrip("\r") for line in lines]
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version:")]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    for index, token in sorted(config["added_tokens_decoder"].items(), key=lambda item: int(item[0])):
        flags = {k: token[k] for k in ("lstrip", "rstrip", "single_word", "normalized", "special")}
        tokenizer.add_tokens([AddedToken(token["content"], **flags)])
        assert tokenizer.token_to_id(token["content"]) == int(index)
    return LibraryJudge(tokenizer)
