"""`pare compress`, `decompress` and `export-dat`, and packed folders read by other commands."""
import inputs

DEMO_FOLDERS = {
    "float": None, "w8a8": ("w8a8",), "w8a8s": ("w8a8s",),
    "w8a8s-npy": ("w8a8s", "--format", "npy"),
    "w4-v1": ("w4a16", "--group-size", "64", "--format", "ascend-v1"),
    "w4-gptq": ("w4a16", "--group-size", "64", "--format", "gptq"),
    "w8-shards": ("w8a16", "--part-file-size", "0.002"),
}
TINY_LAYOUTS = ("ascend", "ascend-v1", "npy", "autoawq", "gptq", "compressed-tensors", "gguf")
PSEUDO = ("--pseudo-sparse", "0.4", "--seed", "1")
KEPT = ("--compress-disable-layers", "*.down_proj")


def prepare(case, options, model=inputs.DEMO):
    """-> the folder to pack"""
    if options is None:
        return model
    data = inputs.calibration(model) if options[0] in ("w8a8", "w8a8s") else []
    case.make("plain", "quantize", model, "--scheme", *options, *data)
    return "plain"


def pack_and_unpack(options):
    def work(case):
        plain = prepare(case, options)
        case.make("dense", "compress", plain)
        case.make("fast", "compress", plain, "--tier", "fast", "--verbose")
        case.make("restored", "decompress", "dense")
        case.make("restored-fast", "decompress", "fast", "--json")
        case.look("dense", "inspect", "inspect --json", "check --json")
        case.run("eval", "eval", "dense", "--ppl", inputs.TEXT, "--context", "64", "--windows", "1",
                 "--compute", "f32", "--json")
    return work


def tiny_layouts(case):
    model = inputs.golden("llama-gqa")
    for layout in TINY_LAYOUTS:
        case.make(layout, "quantize", model, "--scheme", "w4a16", "--group-size", "32",
                  "--format", layout)
        if case.make(f"{layout}-packed", "compress", layout):
            case.make(f"{layout}-restored", "decompress", f"{layout}-packed")
    for name in inputs.MODELS:
        case.make(f"{name}-packed", "compress", inputs.golden(name))


def compress_options(case):
    plain = prepare(case, ("w8a8",))
    case.make("events", "compress", plain, "--json", "--verbose")
    case.make("kept", "compress", plain, *KEPT, "model.embed_tokens.weight")
    case.make("pseudo", "compress", plain, *PSEUDO)
    case.make("pseudo-restored", "decompress", "pseudo")
    case.make("no-match", "compress", plain, "--compress-disable-layers", "*.down_prj")
    case.make("again", "compress", "kept")
    case.make("bad-share", "compress", plain, "--pseudo-sparse", "1.5")
    case.make("seed-alone", "compress", plain, "--seed", "3")
    case.run("before", "compress", plain, "-o", "replaced")
    case.run("not-replaced", "compress", plain, "-o", "replaced")
    case.make("replaced", "compress", plain, "--tier", "fast", "--force", "--quiet")
    case.make("not-packed", "decompress", inputs.DEMO)
    case.make("nowhere", "decompress", "nowhere")


def quantize_packed(case):
    case.make("packed", "compress", inputs.DEMO)
    case.make("out", "quantize", "packed", "--scheme", "w8a8", *inputs.calibration(inputs.DEMO))


def damaged(case):
    case.make("plain", "quantize", inputs.golden("llama-gqa"), "--scheme", "w8a16")
    case.make("packed", "compress", "plain")
    (weights,) = (case.folder / "packed").glob("*.safetensors")
    data = weights.read_bytes()
    weights.chmod(0o600)
    for share in (0.3, 0.6, 0.99):
        at = int(len(data) * share)
        weights.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1:])
        case.make(f"at-{share}", "decompress", "packed")


def export_dat(case):
    model = inputs.golden("llama-gqa")
    plain = prepare(case, ("w8a8s",), model)
    case.make("npy", "quantize", model, "--scheme", "w8a8s", "--format", "npy",
              *inputs.calibration(model))
    case.make("packed", "compress", plain)
    for name, folder, *options in (
            ("dat", plain), ("transposed", plain, "--transpose"),
            ("full-names", plain, "--full-names"), ("fast", plain, "--tier", "fast", "--verbose"),
            ("events", plain, "--json"), ("pseudo", plain, *PSEUDO), ("kept", plain, *KEPT),
            ("from-npy", "npy"), ("from-file", "npy/quant_weight.npy"), ("from-packed", "packed"),
            ("float", model), ("nowhere", "nowhere"),
            ("no-match", plain, "--compress-disable-layers", "*.dwn")):
        case.make(name, "export-dat", folder, *options)


def export_dat_demo(case):
    plain = prepare(case, ("w8a8s",))
    case.make("dat", "export-dat", plain)


def cases():
    for name, options in DEMO_FOLDERS.items():
        yield f"packed/demo-{name}", pack_and_unpack(options)
    for work in (tiny_layouts, compress_options, quantize_packed, damaged, export_dat,
                 export_dat_demo):
        yield f"packed/{work.__name__.replace('_', '-')}", work
