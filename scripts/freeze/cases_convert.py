"""`pare convert` and `pare ms-to-vllm`: from every layout that a scheme can be written in to all.

All pairs of layouts for the schemes of PAIRS on a tiny F16 model, where nothing is rounded; for
other schemes and models from `ascend` to each layout and back.
"""
import shutil

import inputs
import safetensors_edit as edit
from cases_grid import CALIBRATED, LAYOUTS

GROUP, BIG_GROUP = ("--group-size", "32"), ("--group-size", "64")
W4G = ("w4a16", *GROUP)
SCHEMES = {
    "w4-group": W4G, "w4-group-asym": (*W4G, "--asym"), "w4-row": ("w4a16",),
    "w4-row-asym": ("w4a16", "--asym"), "w8-row": ("w8a16",), "w8-group": ("w8a16", *GROUP),
    "w8-row-asym": ("w8a16", "--asym"), "w8-tensor": ("w8a16", "--mm-tensor"), "static": ("w8a8",),
    "static-tensor": ("w8a8", "--mm-tensor"), "dynamic": ("w8a8-dynamic",), "sparse": ("w8a8s",),
    "two-stage": ("w4a8-dynamic", *GROUP),
    "smoothed": ("w8a8", "--do-smooth", "--smooth-alpha", "0.5"),
    "head": (*W4G, "--quantize-last-linear"),
}
PAIRS = ("w4-group", "w4-group-asym", "w8-row", "w8-row-asym", "w8-tensor", "static", "dynamic",
         "sparse", "two-stage", "smoothed")
F16 = "llama-f16"
FROM_ASCEND = {
    F16: ("w4-row", "w4-row-asym", "w8-group", "static-tensor", "head"),
    "llama-gqa": ("w4-group", "w8-row-asym", "static", "dynamic"),
    "llama-bf16": ("w4-group-asym", "sparse"),
    "llama-mqa-bias": ("static", "w8-row"),
    "qwen3-bias-tied": ("w4-group", "static", "head"),
    "qwen2-tied": ("w8-group", "head"),
    "mistral-window": ("w4-group",),
}
DEMO = {"w4": ("w4a16", *BIG_GROUP, "--asym"), "static": ("w8a8",),
        "smoothed": ("w8a8", "--do-smooth", "--smooth-alpha", "0.5")}


def quantize(case, label, model, options, layout, *more):
    data = inputs.calibration(model) if options[0] in CALIBRATED else []
    return case.make(label, "quantize", model, "--scheme", *options, "--format", layout, *data,
                     *more)


def convert(case, label, source, layout, *more):
    """With more threads the order of the linears in .npy files differs from run to run."""
    one_thread = ["--threads", "1"] if layout == "npy" else []
    return case.make(label, "convert", source, "--to", layout, *more, *one_thread)


def all_pairs(options):
    def work(case):
        for layout in (layout for layout in LAYOUTS if layout != "dequantized"):
            if not quantize(case, layout, inputs.golden(F16), options, layout):
                continue
            for target in LAYOUTS:
                convert(case, f"{layout}-to-{target}", layout, target)
    return work


def there_and_back(model, options):
    def work(case):
        quantize(case, "ascend", model, options, "ascend")
        for target in LAYOUTS:
            fine = convert(case, f"to-{target}", "ascend", target)
            if fine and target not in ("ascend", "dequantized"):
                case.look(f"to-{target}", "check --json")
                convert(case, f"back-from-{target}", f"to-{target}", "ascend")
    return work


def options(case):
    sharded = ("--part-file-size", "0.00001")
    quantize(case, "w4", inputs.golden("llama-gqa"), W4G, "ascend")
    quantize(case, "shards", inputs.golden("llama-gqa"), W4G, "ascend", *sharded)
    convert(case, "from-shards", "shards", "gptq")
    convert(case, "to-shards", "w4", "gptq", *sharded)
    convert(case, "torch", "w4", "npy", "--npy-values", "torch")
    for word in ("f16", "bf16", "f32"):
        convert(case, f"gguf-{word}", "w4", "gguf", "--float-type", word)
    case.run("before", "convert", "w4", "--to", "gptq", "-o", "replaced", "--json")
    case.run("not-replaced", "convert", "w4", "--to", "gptq-v2", "-o", "replaced")
    convert(case, "replaced", "w4", "gptq-v2", "--force", "--quiet")
    case.make("packed", "compress", "w4")
    convert(case, "from-packed", "packed", "autoawq")
    case.run("float", "convert", inputs.DEMO, "--to", "gptq", "-o", "none")
    case.run("no-layout", "convert", "w4", "--to", "gpqt", "-o", "none")


def lowest_zero(case):
    """One zero point that is the lowest code, for which gptq has no place."""
    quantize(case, "source", inputs.golden("llama-gqa"), (*W4G, "--asym"), "ascend")
    edit.change(case.folder / "source/quant_model_weight_w4a16.safetensors",
                "model.layers.1.self_attn.o_proj.weight_offset",
                lambda data: b"\0\0\0\xc1" + data[4:])  # -8 in F32
    for layout in LAYOUTS:
        convert(case, layout, "source", layout)
    convert(case, "refitted", "source", "gptq", "--refit-zeros")


def act_order(case):
    """The groups of all columns of one linear the other way round, as GPTQ with act-order may."""
    quantize(case, "source", inputs.golden(F16), W4G, "gptq")
    edit.change(case.folder / "source/model.safetensors", "model.layers.0.mlp.down_proj.g_idx",
                lambda data: data[len(data) // 2:] + data[:len(data) // 2])
    for layout in LAYOUTS:
        if convert(case, layout, "source", layout):
            convert(case, f"{layout}-back", layout, "gptq")


def two_labels(case):
    """A folder that says twice how it is quantized is refused."""
    quantize(case, "ascend", inputs.golden(F16), W4G, "ascend")
    quantize(case, "gptq", inputs.golden(F16), W4G, "gptq")
    for path in (case.folder / "ascend").glob("quant_model_*"):
        shutil.copy(path, case.folder / "gptq" / path.name)
    convert(case, "out", "gptq", "ascend")
    case.look("gptq", "check --json", "inspect")


def ms_to_vllm(case):
    def to_vllm(label, source, *more):
        name = {"w4": "w4a16", "w8": "w8a16"}[source]
        case.make(label, "ms-to-vllm", "--model", f"{source}/quant_model_weight_{name}.safetensors",
                  "--json", f"{source}/quant_model_description_{name}.json", *more,
                  out="--save-path")

    quantize(case, "w4", inputs.DEMO, ("w4a16", *BIG_GROUP), "ascend")
    quantize(case, "w8", inputs.DEMO, ("w8a16",), "ascend")
    to_vllm("awq", "w4")
    to_vllm("gptq", "w4", "--target-tool", "gptq", "--w-bit", "4")
    to_vllm("gptq-8", "w8", "--target_tool", "gptq", "--w_bit", "8")
    to_vllm("awq-8", "w8")
    to_vllm("wrong-bits", "w8", "--target-tool", "gptq", "--w-bit", "4")
    to_vllm("wrong-tool", "w4", "--target-tool", "gguf")
    quantize(case, "v1", inputs.DEMO, ("w4a16", *BIG_GROUP), "ascend-v1", "--part-file-size",
             "0.002")
    case.make("shards", "ms-to-vllm", "--model", "v1", "--json", "v1/quant_model_description.json",
              "--target-tool", "gptq", out="--save-path")


def cases():
    for name in PAIRS:
        yield f"convert/pairs/{name}", all_pairs(SCHEMES[name])
    for name, schemes in FROM_ASCEND.items():
        for scheme in schemes:
            yield (f"convert/{name}/{scheme}",
                   there_and_back(inputs.golden(name), SCHEMES[scheme]))
    for name, scheme in DEMO.items():
        yield f"convert/demo/{name}", there_and_back(inputs.DEMO, scheme)
    for work in (options, lowest_zero, act_order, two_labels, ms_to_vllm):
        yield f"convert/{work.__name__.replace('_', '-')}", work
