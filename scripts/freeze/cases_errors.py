"""What is refused, by every command: exit code, error code and message."""
import inputs

# Command lines, split at blanks.
USAGE = """
quantise | evla x | xyzzy | --threads 2 list | list metods
eval | eval m | eval m surplus --ppl t | eval m --ppl t -x | eval m --ppl t --context
eval m --ppl t --contxt 3 | eval m --ppl t --contxt=3 | eval m --ppl t --context many
eval m --ppl t --context 1 | eval m --ppl t --context 9 --context 8 | eval m --ppl t --threads 0
eval m --ppl t --protocol gtpq | eval m --ppl t --compute fp32
eval m --input-ids i | eval m --logits-to o | eval m --ppl t --input-ids i --logits-to o
compare only-one --ppl t | compare a b | tokenize m --json
generate m | generate m --prompt x --temperature -1 | generate m --prompt x --top-p 1.5
generate m --prompt x --max-new-tokens 0
inspect | quantize | quantize m -o out | check | check m --target vlm | check m --tp 0
convert m | convert m --to gptq | ms-to-vllm | compress m | decompress m | export-dat m
"""
TEXT = ("--ppl", inputs.TEXT)
NOWHERE = {
    "eval": ("eval", "nowhere", *TEXT), "compare": ("compare", inputs.DEMO, "nowhere", *TEXT),
    "generate": ("generate", "nowhere", "--prompt", "x"),
    "tokenize": ("tokenize", "nowhere", inputs.TEXT), "inspect": ("inspect", "nowhere"),
    "check": ("check", "nowhere"), "check-file": ("check", inputs.TEXT),
    "convert": ("convert", "nowhere", "--to", "gptq", "-o", "out"),
    "compress": ("compress", "nowhere", "-o", "out"),
    "export-dat": ("export-dat", "nowhere", "-o", "out"),
    "eval-text": ("eval", inputs.DEMO, "--ppl", "nowhere.txt"),
    "eval-file": ("eval", inputs.TEXT, *TEXT),
    "tokenize-text": ("tokenize", inputs.DEMO, "nowhere.txt"),
    "ms-to-vllm": ("ms-to-vllm", "--model", "nowhere", "--json", "nowhere.json", "--save-path",
                   "out"),
}
STATIC, W8, SPARSE = ("--scheme", "w8a8"), ("--scheme", "w8a16"), ("--scheme", "w8a8s")
DATA = tuple(inputs.calibration(inputs.DEMO))
QUANTIZE = {
    "scheme-unknown": ("--scheme", "w9a9"), "scheme-missing": (),
    "method-unknown": (*W8, "--method", "maxmin"), "option-unknown": (*W8, "--frobnicate"),
    "format-unknown": (*W8, "--format", "gguff"), "format-empty": (*W8, "--format", "ascend,"),
    "format-twice": (*W8, "--format", "ascend,gptq,ascend"),
    "group-size-odd": (*W8, "--group-size", "48"),
    "group-does-not-divide": ("--scheme", "w4a16", "--group-size", "256"),
    "group-and-tensor": (*W8, "--mm-tensor", "--group-size", "64"),
    "level": (*W8, "--disable-level", "5"), "level-without-data": (*W8, "--disable-level", "L2"),
    "pattern": (*W8, "--disable-names", "model.layer.*.mlp.down_prj"),
    "npy-values": (*W8, "--npy-values", "torch"), "float-type": (*W8, "--float-type", "f16"),
    "part-size": (*W8, "--part-file-size", "-1"), "refit-zeros": (*W8, "--refit-zeros"),
    "memory": (*STATIC, *DATA, "--max-memory", "1MiB"), "recipe-missing": ("--recipe", "no.yaml"),
    "memory-word": (*W8, "--max-memory", "lots"),
    "no-data": STATIC, "data-missing": (*STATIC, "--calib", "nowhere.jsonl"),
    "data-empty": (*STATIC, "--calib", "in/empty.txt"),
    "data-ids": (*STATIC, "--calib", "in/ids-too-large.jsonl"),
    "template-field": (*STATIC, *DATA, "--template", "{passage}: {text}"),
    "count": (*STATIC, *DATA, "--count", "0"), "act-method": (*STATIC, *DATA, "--act-method", "4"),
    "asym-static": (*STATIC, *DATA, "--asym"), "smooth-weight-only": (*W8, *DATA, "--do-smooth"),
    "alpha-alone": (*STATIC, *DATA, "--smooth-alpha", "0.5"),
    "alpha-range": (*STATIC, *DATA, "--do-smooth", "--smooth-alpha", "1.5"),
    "fraction-range": (*SPARSE, *DATA, "--fraction", "1.5"),
    "fraction-alone": (*W8, "--fraction", "0.1"), "pr-below-1": (*SPARSE, *DATA, "--pr", "0.5"),
    "sigma-alone": (*SPARSE, *DATA, "--sigma-factor", "3"),
    "nonuniform-npy": (*SPARSE, *DATA, "--nonuniform", "--format", "npy"),
}
BROKEN = ("more-layers", "wrong-width", "wrong-type", "nan", "cut", "no-weights", "pickle",
          "no-json", "no-config", "no-shard", "empty")


def usage(case):
    for line in USAGE.replace("|", "\n").split("\n"):
        if words := line.split():
            case.run("_".join(words), *words, plain=True)


def nowhere(case):
    for name, words in NOWHERE.items():
        case.run(name, *words)


def quantize(case):
    for name, options in QUANTIZE.items():
        case.make(name, "quantize", inputs.DEMO, *options)


def outputs(case):
    (case.folder / "there").mkdir()
    (case.folder / "letters").mkdir()
    (case.folder / "letters/letter.txt").write_text("dear")
    case.run("exists", "quantize", inputs.DEMO, *W8, "-o", "there")
    case.run("foreign", "quantize", inputs.DEMO, *W8, "-o", "letters", "--force")
    case.run("no-folder", "quantize", inputs.DEMO, *W8, "-o", "no/such/out")
    case.files("letters")
    case.make("done", "quantize", inputs.golden("llama-mha"), *W8)
    case.make("again", "quantize", "done", *W8)
    case.make("several", "quantize", inputs.golden("llama-mha"), *W8, "--format", "ascend,gptq")
    case.run("around", "eval", "several", *TEXT)


def broken(case):
    for name in BROKEN:
        model = f"in/broken/{name}"
        case.make(f"{name}-quantize", "quantize", model, *W8)
        case.run(f"{name}-inspect", "inspect", model)
        case.run(f"{name}-check", "check", model)
        case.run(f"{name}-check-json", "check", model, "--json")
        case.run(f"{name}-eval", "eval", model, "--input-ids", inputs.ids("llama-mha"),
                 "--logits-to", f"{name}.npy", "--compute", "f32")
        case.files(f"{name}.npy")
    case.make("no-tokenizer", "quantize", "in/broken/no-tokenizer", *STATIC, *DATA)
    case.run("no-tokenizer-generate", "generate", "in/broken/no-tokenizer", "--prompt", "x")


def cases():
    for work in (usage, nowhere, quantize, outputs, broken):
        yield f"errors/{work.__name__}", work
