#!/usr/bin/env python3
"""Prints what scripts/demo.sh found, from the JSON files that pare wrote.

Usage: demo_table.py table FOLDER MODEL NAME...
       demo_table.py same-perplexity FOLDER NAME OTHER

FOLDER holds float.eval.json and, for each NAME, NAME.eval.json, NAME.compare.json,
NAME/report.json and the compressed folder NAME-packed.
"""

import json
import sys
from pathlib import Path

HEADER = ["model", "perplexity", "change", "KL", "top-1", "size", "packed", "seconds", "good for"]
GOOD_FOR = {
    "w8a8": "devices that multiply 8-bit integers: half the size, hardly a loss",
    "w4a16": "least memory for weights that are read once per token",
    "co-sparse": "smallest when packed, where some loss is fine",
    "lowbit": "small when packed and close to the original; smoothing on",
}


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def mebibytes(count):
    return f"{count / 2**20:.1f} MiB"


def folder_size(folder):
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def perplexity(folder, name):
    return load(folder / f"{name}.eval.json")["perplexity"]


def float_row(folder, model):
    size = mebibytes(folder_size(model))
    return ["original", f"{perplexity(folder, 'float'):.2f}", "-", "-", "-", size, "-", "-", ""]


def quantized_row(folder, name):
    report = load(folder / name / "report.json")
    compare = load(folder / f"{name}.compare.json")
    change = perplexity(folder, name) / perplexity(folder, "float") - 1
    return [
        name,
        f"{perplexity(folder, name):.2f}",
        f"{change * 100:+.1f} %",
        f"{compare['kl_mean']:.4f}",
        f"{compare['top1_agreement'] * 100:.0f} %",
        mebibytes(folder_size(folder / name)),
        mebibytes(folder_size(folder / f"{name}-packed")),
        f"{report['seconds']['total']:.1f}",
        GOOD_FOR[name],
    ]


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1])]
        print("  ".join([*cells, row[-1]]).rstrip())


def table(folder, model, *names):
    rows = [quantized_row(Path(folder), name) for name in names]
    print_table([HEADER, float_row(Path(folder), model), *rows])


def same_perplexity(folder, name, other):
    found = [perplexity(Path(folder), which) for which in (name, other)]
    if found[0] != found[1]:
        sys.exit(f"perplexity of {name} is {found[0]}, of {other} {found[1]}")
    print(f"{other} has perplexity {found[1]:.3f}, as {name} has.")


def main():
    command, *arguments = sys.argv[1:]
    {"table": table, "same-perplexity": same_perplexity}[command](*arguments)


if __name__ == "__main__":
    main()
