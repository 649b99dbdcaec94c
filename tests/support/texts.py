"""All the text of the shared data: corpora and calibration prompts."""
import functools
import json

TEXT_FIELDS = ("inputs_pretokenized", "text")


def one_line(text):
    return text.replace("\r", " ").replace("\n", " ")


def prompts(path):
    """The texts of one .jsonl file, line by line."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield prompt_of(line)


def prompt_of(line):
    """A line that is not valid JSON (ceval.jsonl has one, a lone backslash) is a text like any other: nothing is left out."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return line
    return next(record[field] for field in TEXT_FIELDS if field in record)


@functools.cache
def text_files(data):
    """Every file of corpora and calibration, each of which is also tokenized whole, as the one text it is."""
    files = sorted((data / "corpora").iterdir()) + sorted((data / "calibration").iterdir())
    assert len(files) >= 10, f"only {len(files)} files in {data}"
    return files


@functools.cache
def all_lines(data):
    """[(where, text)]: every paragraph of the raw corpora and every prompt, line ends inside a prompt made spaces."""
    lines = []
    for path in text_files(data):
        texts = prompts(path) if path.suffix == ".jsonl" else path.read_bytes().decode("utf-8").split("\n")
        lines += [(f"{path.name}:{number}", one_line(text)) for number, text in enumerate(texts, 1)]
    return lines
