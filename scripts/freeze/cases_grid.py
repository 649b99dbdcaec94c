"""Every scheme with every method, shape and layout: whole folders, and what is said about them.

Pruned in three ways. A combination that neither `ascend` nor `dequantized` has a place for is
refused whatever the layout, so the other layouts are not tried. Models other than the demo one get
the combinations of TINY; those of WHOLE (tied, biased, sharded, another architecture) in every
layout, the others in one layout each. Weight-only schemes are quantized without data. `inspect`
looks at the folders of the demo model, `check` at all.
"""
import inputs

SCHEMES = ("w8a8", "w8a8-dynamic", "w8a8s", "w8a16", "w4a16", "w4a8-dynamic")
METHODS = ("minmax", "co-sparse", "lowbit", "two-stage")
LAYOUTS = ("ascend", "dequantized", "ascend-v1", "npy", "autoawq", "gptq", "gptq-v2",
           "compressed-tensors", "gguf")
CALIBRATED = ("w8a8", "w8a8s")
WHOLE = ("llama-tied", "llama-mqa-bias", "llama-gqa", "qwen3")
TINY = (("w8a8", "minmax", "plain"), ("w8a8-dynamic", "minmax", "plain"),
        ("w8a8s", "co-sparse", "plain"), ("w8a8s", "lowbit", "plain"),
        ("w8a16", "minmax", "plain"), ("w4a16", "minmax", "group"),
        ("w4a16", "minmax", "group-asym"), ("w4a8-dynamic", "two-stage", "group"))
ONE_LAYOUT = (("w8a8", "minmax", "plain", "ascend"), ("w8a8s", "co-sparse", "plain", "npy"),
              ("w8a8-dynamic", "minmax", "plain", "compressed-tensors"),
              ("w8a16", "minmax", "plain", "gguf"), ("w4a16", "minmax", "group", "gptq"),
              ("w4a16", "minmax", "group-asym", "autoawq"),
              ("w4a8-dynamic", "two-stage", "group", "ascend-v1"))


def shapes(group_size):
    group = ["--group-size", group_size]
    return {"plain": [], "group": group, "tensor": ["--mm-tensor"], "asym": ["--asym"],
            "group-asym": [*group, "--asym"], "tensor-asym": ["--mm-tensor", "--asym"]}


def quantize(case, model, scheme, method, shape, layout):
    size = 64 if model == inputs.DEMO else 32
    data = inputs.calibration(model) if scheme in CALIBRATED else []
    fine = case.make(layout, "quantize", model, "--scheme", scheme, "--method", method,
                     *shapes(size)[shape], "--format", layout, *data)
    if fine:
        looks = ("check --json", "inspect --json", "inspect")
        case.look(layout, *looks if model == inputs.DEMO else looks[:1])
    return fine


def every_layout(model, scheme, method, shape):
    def work(case):
        made = [quantize(case, model, scheme, method, shape, layout) for layout in LAYOUTS[:2]]
        if any(made):
            for layout in LAYOUTS[2:]:
                quantize(case, model, scheme, method, shape, layout)
    return work


def one_layout(model, scheme, method, shape, layout):
    return lambda case: quantize(case, model, scheme, method, shape, layout)


def cases():
    for scheme in SCHEMES:
        for method in METHODS:
            for shape in shapes(0):
                yield (f"grid/demo/{scheme}-{method}-{shape}",
                       every_layout(inputs.DEMO, scheme, method, shape))
    for name in WHOLE:
        for combination in TINY:
            yield (f"grid/{name}/{'-'.join(combination)}",
                   every_layout(inputs.golden(name), *combination))
    for name in sorted(set(inputs.MODELS) - set(WHOLE)):
        for *combination, layout in ONE_LAYOUT:
            yield (f"grid/{name}/{'-'.join(combination)}",
                   one_layout(inputs.golden(name), *combination, layout))
