"""The options of `pare quantize`, one or two at a time, mostly on the demo model."""
import inputs
from cases_grid import LAYOUTS

W4G = ("--scheme", "w4a16", "--group-size", "64")
STATIC = ("--scheme", "w8a8")
LOWBIT = ("--scheme", "w8a8s", "--method", "lowbit")
CO_SPARSE = ("--scheme", "w8a8s", "--method", "co-sparse")
EASY = ("--smooth-alpha", "0.5")  # without a search
UPPER_BLOCKS = [f"model.layers.{block}.*" for block in range(1, 6)]
SHARDS = ("--part-file-size", "0.002")
DATA = tuple(inputs.calibration(inputs.DEMO))

WITH_DATA = {
    "activations": {f"method-{method}": (*STATIC, "--act-method", method) for method in (1, 2, 3)},
    "level": {
        **{f"w8a8-L{level}": (*STATIC, "--disable-level", f"L{level}") for level in (0, 1, 3, 5)},
        "w8a8s-L3": (*LOWBIT, "--disable-level", "L3"),
        "names-L2": (*STATIC, "--disable-level", "L2", "--disable-names", "*.down_proj"),
    },
    "sparse": {
        "fraction-0.05": (*CO_SPARSE, "--fraction", "0.05"),
        "fraction-0.2": (*LOWBIT, "--fraction", "0.2"),
        "sigma": (*LOWBIT, "--use-sigma"),
        "sigma-4": (*LOWBIT, "--use-sigma", "--sigma-factor", "4", "--mm-tensor"),
        "pr": (*CO_SPARSE, "--pr", "1"),
        "nonuniform": (*CO_SPARSE, "--nonuniform", "--disable-names", *UPPER_BLOCKS),
        "nonuniform-tensor": (*CO_SPARSE, "--nonuniform", "--mm-tensor", "--disable-names",
                              *UPPER_BLOCKS),
    },
    "head": {"w8a8": (*STATIC, "--quantize-last-linear"),
             "w8a8s": (*CO_SPARSE, "--quantize-last-linear", "--disable-names", "*.down_proj")},
    "samples": {"count": (*STATIC, "--count", "2"), "max-tokens": (*STATIC, "--max-tokens", "32"),
                "pack": (*STATIC, "--pack", "100")},
    "data-not-needed": {"w4a16": W4G, "w8a8-dynamic": ("--scheme", "w8a8-dynamic"),
                        "w4a8": ("--scheme", "w4a8-dynamic", "--group-size", "64")},
}
SMOOTHED = {
    "lowbit": (*LOWBIT,), "co-sparse": CO_SPARSE, "w8a8": STATIC,
    "lowbit-w8a8": (*STATIC, "--method", "lowbit"), "lowbit-alpha": (*LOWBIT, *EASY),
    "lowbit-sigma": (*LOWBIT, *EASY, "--use-sigma"),
    "co-sparse-alpha-1": (*CO_SPARSE, "--smooth-alpha", "1"),
    "w8a8-alpha-0": (*STATIC, "--smooth-alpha", "0"),
    "lowbit-samples-1": (*LOWBIT, "--smooth-samples", "1"),
    "w8a8-tensor": (*STATIC, *EASY, "--mm-tensor", "--act-method", "3"),
    "lowbit-names": (*LOWBIT, *EASY, "--disable-names", "*q_proj"),
    "lowbit-L3": (*LOWBIT, *EASY, "--disable-level", "L3"),
    "w8a8-v1": (*STATIC, *EASY, "--format", "ascend-v1"),
    "lowbit-npy": (*LOWBIT, *EASY, "--format", "npy"),
    "w8a8-compressed-tensors": (*STATIC, *EASY, "--format", "compressed-tensors"),
    "w8a8-dequantized": (*STATIC, *EASY, "--format", "dequantized"),
}
WITHOUT_DATA = {
    "names": {
        "one": (*W4G, "--disable-names", "model.layers.0.mlp.down_proj"),
        "patterns": (*W4G, "--disable-names", "*.v_proj", "model.layers.?.mlp.up_proj"),
        "patterns-awq": (*W4G, "--disable-names", "*.v_proj", "--format", "autoawq"),
        "patterns-gptq": (*W4G, "--disable-names", "*layers.1.*", "--format", "gptq"),
        "patterns-ct": (*W4G, "--disable-names", "*.down_proj", "--format", "compressed-tensors"),
        "patterns-gguf": (*W4G, "--disable-names", "*.down_proj", "--format", "gguf"),
    },
    "groups": {
        **{f"w4a16-{size}": ("--scheme", "w4a16", "--group-size", size) for size in (32, 128)},
        "w8a16-128": ("--scheme", "w8a16", "--group-size", "128", "--format", "gptq"),
        "w4a16-256": ("--scheme", "w4a16", "--group-size", "256", "--disable-names", "*down_proj"),
        "w4a8-128": ("--scheme", "w4a8-dynamic", "--group-size", "128", "--format", "ascend-v1"),
    },
    "head": {f"{layout}": (*W4G, "--quantize-last-linear", "--format", layout)
             for layout in ("ascend", "autoawq", "gptq", "compressed-tensors", "gguf")},
    "shards": {layout: (*W4G, *SHARDS, "--format", layout)
               for layout in ("ascend", "ascend-v1", "gptq", "compressed-tensors", "dequantized")},
    "exporters": {
        "npy-torch": (*W4G, "--format", "npy", "--npy-values", "torch"),
        **{f"gguf-{word}": (*W4G, "--format", "gguf", "--float-type", word)
           for word in ("f16", "bf16", "f32")},
        "gptq-refit": (*W4G, "--asym", "--format", "gptq", "--refit-zeros"),
    },
}
TOGETHER = {
    "w4": (*W4G, "--format", "gptq,autoawq,compressed-tensors,ascend"),
    "w4-asym": (*W4G, "--asym", "--format", "ascend-v1,npy,gptq-v2,dequantized"),
    "w8": ("--scheme", "w8a16", "--format", "gguf,gptq,ascend"),
    "w8a8": (*STATIC, *DATA, "--format", "ascend,npy,compressed-tensors"),
    "smooth": (*STATIC, *DATA, "--do-smooth", *EASY, "--format", "ascend-v1,compressed-tensors"),
    "refused": ("--scheme", "w8a8-dynamic", "--format", "ascend,gptq"),
}
DATA_FILES = {
    "json": ("in/calib.json",), "csv": ("in/calib.csv",), "txt": ("in/calib.txt",),
    "ids": ("in/ids.jsonl",),
    "template": ("in/fields.jsonl", "--template", "{passage}\nQuestion:{question}?"),
    "not-json": ("in/not-json.jsonl",),
}
RECIPE = "scheme: w4a16\ngroup_size: 64\nasym: true\ndisable_names:\n  - '*.v_proj'\n"
DRY_RUNS = {
    "w8a8": (*STATIC, *DATA), "w4a16": W4G, "w8a8s": (*LOWBIT, *DATA),
    "smooth": (*LOWBIT, *DATA, "--do-smooth"), "several": (*W4G, "--format", "gptq,ascend"),
    "level": (*STATIC, *DATA, "--disable-level", "L2"),
}


def quantize(options, model=inputs.DEMO):
    return lambda case: case.make("out", "quantize", model, *options)


def several(variants):
    def work(case):
        for name, options in variants.items():
            case.make(name, "quantize", inputs.DEMO, *options)
    return work


def recipes(case):
    (case.folder / "recipe.yaml").write_text(RECIPE)
    case.make("alone", "quantize", inputs.DEMO, "--recipe", "recipe.yaml")
    case.make("flags-win", "quantize", inputs.DEMO, "--recipe", "recipe.yaml",
              "--format", "gptq-v2", "--group-size", "128")
    case.make("stored", "quantize", inputs.DEMO, "--recipe", "alone/recipe.yaml")
    wrong = {"unknown-key": "shceme: w4a16\n", "wrong-value": "scheme: w4a16\nasym: 3\n",
             "no-yaml": "scheme: [\n", "empty": ""}
    for name, text in wrong.items():
        (case.folder / f"{name}.yaml").write_text(text)
        case.make(name, "quantize", inputs.DEMO, "--recipe", f"{name}.yaml")


def unknown_architecture(case):
    for name, model in (("demo", "in/unknown-demo"), ("tiny", "in/unknown-tiny")):
        for layout in LAYOUTS:
            case.make(f"{name}-{layout}", "quantize", model, "--scheme", "w4a16",
                      "--group-size", "32", "--format", layout)
        case.make(f"{name}-dynamic", "quantize", model, "--scheme", "w8a8-dynamic")
        case.make(f"{name}-data", "quantize", model, *STATIC, *DATA)


def dry_runs(case):
    for name, options in DRY_RUNS.items():
        case.make(name, "quantize", inputs.DEMO, *options, "--dry-run")
        case.make(f"{name}-json", "quantize", inputs.DEMO, *options, "--dry-run", "--json")


def events(case):
    case.make("static", "quantize", inputs.DEMO, *STATIC, *DATA, "--json")
    case.make("w4", "quantize", inputs.DEMO, *W4G, "--format", "ascend,gptq", "--json")
    case.make("quiet", "quantize", inputs.DEMO, *W4G, "--quiet")
    case.run("before", "quantize", inputs.DEMO, *W4G, "--format", "npy", "-o", "replaced")
    case.run("not-replaced", "quantize", inputs.DEMO, *W4G, "-o", "replaced")
    case.make("replaced", "quantize", inputs.DEMO, *STATIC, *DATA, "--force")


def small_models(case):
    """Heads that are tied or not, quantized; levels and smoothing on other architectures."""
    for name in ("llama-tied", "qwen3-bias-tied", "qwen2-tied", "llama-mqa-bias",
                 "mistral-head-dim"):
        model, data = inputs.golden(name), inputs.calibration(inputs.golden(name))
        case.make(f"{name}-head", "quantize", model, *STATIC, *data, "--quantize-last-linear")
        case.make(f"{name}-head-gptq", "quantize", model, "--scheme", "w4a16", "--group-size", "32",
                  "--quantize-last-linear", "--format", "gptq")
        case.make(f"{name}-level", "quantize", model, *STATIC, *data, "--disable-level", "L2")
        case.make(f"{name}-smooth", "quantize", model, *LOWBIT, *data, "--do-smooth")
        case.make(f"{name}-nonuniform", "quantize", model, *CO_SPARSE, *data, "--nonuniform")


def cases():
    for name, options in SMOOTHED.items():
        yield f"tuning/smooth-{name}", quantize((*options, "--do-smooth", *DATA), "in/rough")
    for group, variants in WITH_DATA.items():
        for name, options in variants.items():
            yield f"tuning/{group}-{name}", quantize((*options, *DATA))
    for group, variants in WITHOUT_DATA.items():
        yield f"tuning/{group}", several(variants)
    yield "tuning/together", several(TOGETHER)
    for name, options in DATA_FILES.items():
        words = (*STATIC, "--calib", *options, "--compute", "f32")
        yield f"tuning/data-{name}", quantize(words)
    for work in (recipes, unknown_architecture, dry_runs, events, small_models):
        yield f"tuning/{work.__name__.replace('_', '-')}", work
