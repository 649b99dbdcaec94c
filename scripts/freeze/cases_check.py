"""`pare check` on folders with faults: a file missing or one too many, a key missing or changed."""
import json
import shutil

import inputs

W4G = ("--scheme", "w4a16", "--group-size", "64")
FOLDERS = {  # options of quantize, and the engine that is asked
    "autoawq": (W4G, "vllm"), "gptq": (W4G, "gptqmodel"), "compressed-tensors": (W4G, "vllm"),
    "ascend": (W4G, "mindie"), "ascend-v1": (("--scheme", "w8a8-dynamic"), "vllm-ascend"),
    "npy": (W4G, "mindie"), "gguf": (W4G, "llama.cpp"),
}
SHARDS = ("--part-file-size", "0.003")
STRAY = ("pytorch_model.bin", "model-00001-of-00002.safetensors", "hf_quant_config.json",
         "quant_model_description.json", "model.safetensors.index.json")
# The keys of a quantized model's config.json that tell of its type; a float model's all count.
TYPE_KEYS = ("architectures", "torch_dtype", "quantize", "quantization_config")
OTHER = 7


class Faults:
    """Makes one fault after the other in a folder, and has each checked."""

    def __init__(self, case, folder, target):
        self.case, self.folder = case, case.folder / folder
        self.words = ("check", folder, *(("--target", target) if target else ()), "--json")

    def check(self, label):
        self.case.run(label, *self.words)

    def files(self):
        for path in sorted(self.folder.iterdir()):
            away = path.rename(self.case.folder / "away")
            self.check(f"{path.name}-missing")
            away.rename(path)
        for path in (self.folder / name for name in STRAY):
            if not path.exists():
                path.write_text("{}")
                self.check(f"{path.name}-added")
                path.unlink()

    def keys(self, name, chosen=None, inside=None):
        """Faults of the chosen keys (default: all) of a JSON file, or of the object `inside` it."""
        path = self.folder / name
        path.chmod(0o644)
        text = path.read_text()
        whole = json.loads(text)
        values = whole[inside] if inside else whole
        for key in [key for key in values if chosen is None or key in chosen]:
            missing = {other: value for other, value in values.items() if other != key}
            for what, changed in (("missing", missing), ("other", {**values, key: OTHER})):
                path.write_text(json.dumps({**whole, inside: changed} if inside else changed))
                self.check(f"{name}/{key}-{what}")
        path.write_text(text)


def quantized(layout, options, target):
    def work(case):
        case.run("quantize", "quantize", inputs.DEMO, "-o", "out", *options, "--format", layout,
                 "--quiet")
        faults = Faults(case, "out", target)
        faults.check("whole")
        faults.files()
        faults.keys("config.json", TYPE_KEYS)
        if "quantization_config" in json.loads((faults.folder / "config.json").read_text()):
            faults.keys("config.json", inside="quantization_config")
        if (faults.folder / "quantize_config.json").exists():
            faults.keys("quantize_config.json")
        for path in faults.folder.glob("quant_model_description*.json"):
            faults.keys(path.name, ("model_quant_type", "version", "group_size",
                                    "model.norm.weight", "model.layers.0.mlp.up_proj.weight"))
    return work


def float_folder(case):
    shutil.copytree(case.folder / inputs.DEMO, case.folder / "out")
    faults = Faults(case, "out", None)
    faults.check("whole")
    faults.files()
    faults.keys("config.json")


def shards(case):
    case.run("quantize", "quantize", inputs.DEMO, "-o", "out", *W4G, *SHARDS, "--format", "gptq",
             "--quiet")
    faults = Faults(case, "out", "vllm")
    faults.check("whole")
    faults.files()
    faults.keys("model.safetensors.index.json")


def cases():
    for layout, (options, target) in FOLDERS.items():
        yield f"check/{layout}", quantized(layout, options, target)
    yield "check/float", float_folder
    yield "check/shards", shards
