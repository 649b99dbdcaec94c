"""`pare eval`, `compare`, `generate`, `tokenize`, `inspect`, `check`: what is said about models."""
import inputs

WINDOWS = ("--context", "128", "--windows", "2", "--compute", "f32")
WARM = ("--temperature", "0.9", "--top-p", "0.95", "--seed", "7")
PROMPT = "It was late in the evening when"
FOLDERS = {
    "w8a8": ("w8a8",), "w8a8s": ("w8a8s",), "w8a8-dynamic": ("w8a8-dynamic",),
    "w4a16": ("w4a16", "--group-size", "64"),
    "w4a16-gptq": ("w4a16", "--group-size", "64", "--asym", "--format", "gptq"),
    "w4a16-gguf": ("w4a16", "--group-size", "64", "--format", "gguf"),
    "w8a16-npy": ("w8a16", "--format", "npy"),
    "w8a8-ct": ("w8a8", "--format", "compressed-tensors"),
    "w4a8-v1": ("w4a8-dynamic", "--group-size", "64", "--format", "ascend-v1"),
    "smooth": ("w8a8", "--do-smooth", "--smooth-alpha", "0.5"),
}
TARGETS = ("vllm", "vllm-ascend", "mindie", "autoawq", "gptqmodel", "transformers", "llama.cpp")


def measured(options):
    """A quantized folder, or with None the float model itself."""
    def work(case):
        model = inputs.DEMO
        if options:
            model = "out"
            data = inputs.calibration(inputs.DEMO) if options[0] in ("w8a8", "w8a8s") else []
            case.make("out", "quantize", inputs.DEMO, "--scheme", *options, *data, "--quiet")
        case.run("eval", "eval", model, "--ppl", inputs.TEXT, *WINDOWS)
        case.run("eval-json", "eval", model, "--ppl", inputs.TEXT, *WINDOWS, "--json")
        case.run("eval-llamacpp", "eval", model, "--ppl", inputs.TEXT, *WINDOWS, "--json",
                 "--protocol", "llamacpp")
        compare = ("compare", inputs.DEMO, model, "--ppl", inputs.TEXT, *WINDOWS)
        case.run("compare", *compare)
        case.run("compare-json", *compare, "--json")
        say = ("generate", model, "--prompt", PROMPT, "--max-new-tokens", "24", "--compute", "f32")
        case.run("greedy", *say)
        case.run("warm", *say, *WARM)
        case.run("warm-json", *say, *WARM, "--json")
        case.run("inspect", "inspect", model)
        case.run("inspect-json", "inspect", model, "--json")
        case.run("check", "check", model)
        for target in TARGETS:
            case.run(f"check-{target}", "check", model, "--target", target, "--json")
        case.run("check-tp", "check", model, "--target", "vllm", "--tp", "4")
    return work


def logits(name):
    """The forward pass of a golden model, float and quantized, to the last bit."""
    def work(case):
        model, ids = inputs.golden(name), inputs.ids(name)
        case.run("inspect", "inspect", model, "--names", "--scan")
        case.run("inspect-json", "inspect", model, "--json")
        case.run("check-json", "check", model, "--json")
        for scheme in ("float", "w8a8", "w8a16", "w4a16"):
            folder = model
            if scheme != "float":
                folder = scheme
                case.make(scheme, "quantize", model, "--scheme", scheme, "--quantize-last-linear",
                          *inputs.calibration(model))
            case.run(f"eval-{scheme}", "eval", folder, "--input-ids", ids,
                     "--logits-to", f"{scheme}.npy", "--compute", "f32")
            case.files(f"{scheme}.npy")
    return work


def more_eval(case):
    for context in (256, 512, 600):
        case.run(f"context-{context}", "eval", inputs.DEMO, "--ppl", inputs.TEXT, "--json",
                 "--context", context, "--windows", "1", "--compute", "f32")
    case.run("lines", "eval", inputs.DEMO, "--ppl", inputs.CALIB, *WINDOWS, "--json")
    case.run("short", "eval", inputs.DEMO, "--ppl", "in/demo/config.json", "--context", "512")
    case.run("empty", "eval", inputs.DEMO, "--ppl", "in/empty.txt")
    case.run("no-tokenizer", "eval", "in/broken/no-tokenizer", "--ppl", inputs.TEXT)
    case.run("vocabularies", "compare", inputs.DEMO, inputs.golden("llama-mha"), "--ppl",
             inputs.TEXT)
    case.run("bad-ids", "eval", inputs.DEMO, "--input-ids", "in/ids-too-large.jsonl",
             "--logits-to", "none.npy")
    case.run("ids", "eval", "in/broken/no-tokenizer", "--input-ids", "in/ids.jsonl",
             "--logits-to", "ids.npy", "--compute", "f32")
    case.files("ids.npy")
    case.run("stdin", "generate", inputs.DEMO, "--prompt", "-", "--max-new-tokens", "8",
             "--compute", "f32", stdin=PROMPT.encode())
    case.run("inspect-scan", "inspect", inputs.DEMO, "--scan", "--names")
    case.run("inspect-unknown", "inspect", "in/unknown-tiny")
    case.run("inspect-file", "inspect", "in/demo/model.safetensors")


def tokenize(case):
    texts = {"text": case.folder / inputs.TEXT, "names": case.folder / "in/models/versions.json"}
    for name in inputs.TOKENIZERS:
        folder = f"in/tokenizers/{name}"
        for what, path in {**texts, "golden": case.folder / folder / "golden.jsonl"}.items():
            case.run(f"{name}-{what}", "tokenize", folder, stdin=path.read_bytes())
        case.run(f"{name}-lines", "tokenize", folder, f"{folder}/golden.jsonl", "--lines")
        case.run(f"{name}-pieces", "tokenize", folder, f"{folder}/golden.jsonl", "--pieces")
    case.run("demo", "tokenize", inputs.DEMO, inputs.TEXT)
    case.run("demo-pieces", "tokenize", inputs.DEMO, inputs.TEXT, "--pieces")
    case.run("demo-lines", "tokenize", inputs.DEMO, inputs.TEXT, "--lines")
    case.run("none", "tokenize", inputs.golden("llama-mha"), inputs.TEXT)


def cases():
    for name, options in {"float": None, **FOLDERS}.items():
        yield f"measure/demo-{name}", measured(options)
    for name in inputs.MODELS:
        yield f"measure/{name}", logits(name)
    yield "measure/more", more_eval
    yield "measure/tokenize", tokenize
