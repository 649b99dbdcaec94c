"""Help texts and lists. `--version` is left out: it names the compiler and the CPU."""

VERBS = ("inspect", "quantize", "compress", "decompress", "convert", "ms-to-vllm", "export-dat",
         "check", "eval", "compare", "generate", "tokenize", "list")
LISTS = ("schemes", "methods", "archs", "exporters", "readers", "tokenizers", "protocols",
         "targets", "rules")


def helps(case):
    case.run("pare", "--help", plain=True)
    case.run("nothing", plain=True)
    for verb in VERBS:
        case.run(verb, verb, "--help", plain=True)


def lists(case):
    case.run("all", "list")
    case.run("all-json", "list", "--json")
    for kind in LISTS:
        case.run(kind, "list", kind)
        case.run(f"{kind}-json", "list", kind, "--json")


def cases():
    yield "words/help", helps
    yield "words/list", lists
