"""Golden numbers of quantization: parameters, min-max weights and observers, restated in NumPy.

    python tests/golden/generate/make_numerics.py [--check]

Writes tests/golden/numerics/{weights,observers}.json. Every f32 is stored as the integer of its bits,
so that the files say exactly what they mean. `--check` makes the numbers again and compares.
Only NumPy is needed; the formulas are those of docs/formats/ascend.md, and of PyTorch 1.13's
HistogramObserver with bounds truncated to whole numbers as its histogram call did there.
"""

import argparse
import json
import math
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "numerics"
F = np.float32
EPS = F(2.0**-23)


def bits(values):
    """f32 values as a list of unsigned integers."""
    return np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint32).tolist()


def through(values, dtype):
    """f32 values rounded to a storage type and widened again."""
    values = np.asarray(values, np.float32)
    if dtype == "F16":
        return values.astype(np.float16).astype(np.float32)
    if dtype == "BF16":
        raw = values.view(np.uint32).astype(np.uint64)
        raw = (raw + 0x7FFF + ((raw >> 16) & 1)) >> 16 << 16
        return raw.astype(np.uint32).view(np.float32)
    return values


# ------------------------------------------------------------------------------------- weights


def shared_blocks(w, granularity, group):
    """The weights that share one scale, a row each."""
    if granularity == "tensor":
        return w.reshape(1, -1)
    return w.reshape(-1, group if granularity == "group" else w.shape[1])


def minmax(w, width, symmetric, granularity, group, scale_dtype):
    """Codes, scales and zero points; every block of weights must hold 0 inside its range."""
    blocks = shared_blocks(w, granularity, group)
    low, high = blocks.min(1, keepdims=True), blocks.max(1, keepdims=True)
    half = 2 ** (width - 1)
    if symmetric:
        exact = np.maximum(-low, high) / F(half - 1)
    else:
        exact = (high - low) / F(2 * half - 1)
    if granularity != "group":
        exact = np.maximum(exact, EPS)
    scale = through(exact, scale_dtype)
    scale = np.where((low == 0) & (high == 0), F(1), scale)
    zero = np.zeros_like(scale) if symmetric else np.rint(-low / scale) - F(half)
    zero = np.where((low == 0) & (high == 0), F(0), zero)
    bottom = F(1 - half) if symmetric else F(-half)
    codes = np.clip(np.rint(blocks / scale + zero), bottom, F(half - 1))
    return codes.astype(np.int64).reshape(-1).tolist(), bits(scale), bits(zero + F(0))


def make_weights(rng):
    cases = []
    kinds = [(g, n) for g in ("tensor", "channel", "group") for n in (4, 8)]
    for index, (granularity, width) in enumerate(kinds):
        for symmetric in (True, False):
            for dtype in ("F32", "F16", "BF16"):
                w = through(rng.standard_normal((4, 64)) * 0.05, dtype)
                w[1, 5] = through(F(0.6), dtype)
                if granularity == "channel":
                    w[2] = 0
                if granularity == "group":
                    w[3, 32:] = 0
                scale_dtype = ("F32", dtype)[index % 2]
                codes, scales, zeros = minmax(w, width, symmetric, granularity, 32, scale_dtype)
                cases.append({"bits": width, "symmetric": symmetric, "granularity": granularity,
                              "group_size": 32 if granularity == "group" else 0, "dtype": dtype,
                              "scale_dtype": scale_dtype, "shape": list(w.shape),
                              "weight": bits(w), "codes": codes, "scales": scales, "zeros": zeros})
    return {"cases": cases}


# ----------------------------------------------------------------------------------- observers

BINS, PARTS, LEVELS = 2048, 128, 256


def count(x, low, high):
    low, high = np.trunc(low), np.trunc(high)
    if low == high:
        low, high = x.min(), x.max()
    if low == high:
        low, high = F(low - F(1)), F(high + F(1))
    x = x[(x >= low) & (x <= high)]
    place = ((x - low) / F(high - low) * F(BINS)).astype(np.int64)
    return np.bincount(np.minimum(place, BINS - 1), minlength=BINS).astype(np.float32)


def merge(hist, low, high, x):
    """The old counts laid out part by part over the new range, then summed per new bin."""
    new_low, new_high = min(low, x.min()), max(high, x.max())
    part = F((high - low) / F(BINS * PARTS))
    unit = F(F(BINS) * part)
    width = F(new_high - new_low)
    per_bin = int(math.ceil(F(width / unit)))
    start = int(np.rint(F((low - new_low) / part)))
    new_high = F(new_high + F(F(F(per_bin) * unit) - width))
    added = count(x, new_low, new_high)
    if new_low == low and new_high == high:
        return added + hist, new_low, new_high
    line = np.zeros(BINS * per_bin)
    line[start:start + BINS * PARTS] = np.repeat(hist, PARTS)
    total = np.cumsum(line)[per_bin - 1::per_bin]
    before = np.append(F(0), total[:-1].astype(np.float32)).astype(np.float64)
    return added + ((total - before) / PARTS).astype(np.float32), new_low, new_high


def search_error(hist, low, high, first, last):
    bin_width = float(F(high - low)) / BINS
    level = bin_width * (last - first + 1) / LEVELS
    if level == 0:
        return F(0)
    b, s, h = F(bin_width), F(level), F(level / 2)
    begin = (np.arange(BINS) - first).astype(np.float32) * b
    end = begin + b
    at = [np.clip(np.floor(v.astype(np.float64) / float(s)), 0, LEVELS - 1).astype(np.float32)
          for v in (begin, end)]
    density = hist / b
    third = lambda a, c: (a * a * a - c * c * c) / F(3)
    loss = density * third(h, begin - (at[0] + F(0.5)) * s)
    loss = loss + (at[1] - at[0] - F(1)) * (density * third(h, -h))
    loss = loss + density * third(end - (at[1] * s + h), -h)
    return F(loss.sum(dtype=np.float64))


def search(hist, low, high):
    total = float(hist.sum(dtype=np.float32))
    upto = np.cumsum(hist, dtype=np.float64).astype(np.float32)
    below, above, first, last, least = 0.0, 1.0, 0, BINS - 1, np.inf
    while below < above:
        left, right = first, last
        while left < last and upto[left] < F((below + 1e-5) * total):
            left += 1
        while right > first and upto[right] > F((above - 1e-5) * total):
            right -= 1
        if left - first > last - right:
            tried, below = (left, last), below + 1e-5
        else:
            tried, above = (first, right), above - 1e-5
        if tried == (first, last):
            continue
        error = search_error(hist, low, high, *tried)
        if error > least:
            break
        least, (first, last) = error, tried
    step = F(F(high - low) / F(BINS))
    return F(low + step * F(first)), F(low + step * F(last + 1))


def histogram_case(samples):
    hist, low, high = None, None, None
    for x in samples:
        x = x.reshape(-1)
        if hist is None or low == high:
            low, high = x.min(), x.max()
            hist = count(x, low, high)
        else:
            hist, low, high = merge(hist, low, high, x)
    kept = np.flatnonzero(hist)
    return {"bins": kept.tolist(), "counts": bits(hist[kept]), "seen": bits([low, high]),
            "range": bits(search(hist, low, high))}


def make_observers(rng):
    gauss = lambda scale, n=160: (rng.standard_normal((n // 16, 16)) * scale).astype(np.float32)
    heavy = gauss(1.0)
    heavy[3, 3], heavy[7, 1] = 90, -35
    sequences = {
        "one sample": [gauss(3)],
        "same width": [gauss(3), gauss(3), gauss(3)],
        "growing": [gauss(1), gauss(4), gauss(30)],
        "shrinking": [gauss(30), gauss(4), gauss(1)],
        "below one": [gauss(0.1), gauss(0.2)],
        "outliers": [gauss(1), heavy],
        "constant first": [np.full((4, 16), 2.5, np.float32), gauss(2)],
        "positive": [np.abs(gauss(2)), np.abs(gauss(5))],
        "forty times wider": [gauss(2), gauss(80)],
    }
    cases = []
    for name, samples in sequences.items():
        mean = [F(np.mean([float(f(x)) for x in samples])) for f in (np.min, np.max)]
        case = {"name": name, "samples": [{"shape": list(x.shape), "values": bits(x)} for x in samples],
                "mean": bits(mean)}
        cases.append({**case, "histogram": histogram_case(samples)})
    return {"cases": cases, "searches": make_searches(rng)}


def make_searches(rng):
    """Histograms of about a million values, where a step of the search is less than a bin."""
    searches = []
    for low, high, center, width in ((-31, 33, 1000, 40), (-9, 50, 300, 25), (0, 7, 0, 90)):
        place = np.abs(np.arange(BINS) - center)
        counts = np.rint(40000 * np.exp(-place / width) + rng.integers(0, 2, BINS)).astype(np.float32)
        searches.append({"low": low, "high": high, "counts": counts.astype(int).tolist(),
                         "range": bits(search(counts, F(low), F(high)))})
    return searches


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the stored files")
    check = parser.parse_args().check
    wrong = []
    for seed, (name, make) in enumerate({"weights": make_weights, "observers": make_observers}.items()):
        made = make(np.random.default_rng(seed))
        path = OUT / f"{name}.json"
        if check and json.loads(path.read_text()) != made:
            wrong.append(path.name)
        if not check:
            path.write_text(json.dumps(made, separators=(",", ":")) + "\n")
    if wrong:
        sys.exit(f"differs from what NumPy {np.__version__} gives: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
