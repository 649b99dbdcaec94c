#!/usr/bin/env python3
"""Prints the table of scripts/demo.sh from the JSON files that pare wrote.

Usage: demo_table.py FOLDER MODEL NAME...
FOLDER holds float.eval.json and, for each NAME, NAME.eval.json, NAME.compare.json and
NAME/report.json and the compressed folder NAME-packed.
"""

import json
import sys
from pathlib import Path

HEADER = [
    "model", "perplexity", "change", "KL", "top-1", "zeros", "entropy", "size", "packed", "of original",
    "seconds", "peak RSS",
]
LEGEND = """
zeros, entropy: of the quantized weights' codes; entropy in bits per weight, what no lossless coder beats by much.
packed: the folder after `pare compress`; of original: packed against the folder of the original.
Sparse schemes (co-sparse, lowbit) store 8-bit codes that pack to about their entropy; compare packed sizes."""


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def mebibytes(count):
    return f"{count / 2**20:.1f} MiB"


def folder_size(folder):
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def float_row(folder, model):
    perplexity = load(folder / "float.eval.json")["perplexity"]
    size = mebibytes(folder_size(model))
    return ["original", f"{perplexity:.3f}"] + ["-"] * 5 + [size, "-", "100.0 %", "-", "-"]


def quantized_row(folder, name, model):
    report = load(folder / name / "report.json")
    compare = load(folder / f"{name}.compare.json")
    perplexity = load(folder / f"{name}.eval.json")["perplexity"]
    before = load(folder / "float.eval.json")["perplexity"]
    packed = folder_size(folder / f"{name}-packed")
    return [
        name,
        f"{perplexity:.3f}",
        f"{(perplexity / before - 1) * 100:+.2f} %",
        f"{compare['kl_mean']:.5f}",
        f"{compare['top1_agreement'] * 100:.1f} %",
        f"{report['codes']['zeros'] * 100:.1f} %",
        f"{report['codes']['entropy_bits']:.2f}",
        mebibytes(folder_size(folder / name)),
        mebibytes(packed),
        f"{packed / folder_size(model) * 100:.1f} %",
        f"{report['seconds']['total']:.1f}",
        mebibytes(report["peak_rss_bytes"]),
    ]


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first = row[0].ljust(widths[0])
        print("  ".join([first] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]))


def main():
    folder, model, names = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    rows = [quantized_row(folder, name, model) for name in names]
    print_table([HEADER, float_row(folder, model)] + rows)
    print(LEGEND)


if __name__ == "__main__":
    main()
