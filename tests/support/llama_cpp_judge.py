"""llama.cpp as a judge, in an environment of its own (scripts/python-env.sh --llama-cpp).

usage: llama_cpp_judge.py logits MODEL.gguf IDS.jsonl OUT.npy    logits [tokens, vocabulary] of all sequences
       llama_cpp_judge.py tokens MODEL.gguf TEXT_FILE            token ids of the text, as one JSON list
       llama_cpp_judge.py write MODEL.gguf PROMPT COUNT          a greedy continuation
"""
import json
import pathlib
import sys

import numpy as np
from llama_cpp import Llama


def load(path, context):
    return Llama(model_path=path, n_ctx=context, n_batch=context, logits_all=True, verbose=False, n_threads=2)


def logits(path, ids_file, out):
    sequences = [json.loads(line)["input_ids"] for line in pathlib.Path(ids_file).read_text().splitlines()]
    model = load(path, max(map(len, sequences)))
    rows = []
    for ids in sequences:
        model.reset()
        model.eval(ids)
        rows.append(np.array(model.scores[:len(ids)], dtype=np.float32))
    np.save(out, np.concatenate(rows))


def tokens(path, text_file):
    text = pathlib.Path(text_file).read_bytes()
    print(json.dumps(Llama(model_path=path, vocab_only=True, verbose=False).tokenize(text, add_bos=True, special=False)))


def write(path, prompt, count):
    model = load(path, 256)
    print(model.create_completion(prompt, max_tokens=int(count), temperature=0)["choices"][0]["text"])


{"logits": logits, "tokens": tokens, "write": write}[sys.argv[1]](*sys.argv[2:])
