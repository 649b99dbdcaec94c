"""How logits of a judge are held against Pare's own of the same folder, and how folders are broken on purpose."""
import dataclasses
import json
import pathlib
import shutil

import numpy as np

from support import checkpoint

# All are parts of max |logit|.
# Same weights, float32 on both sides: sums of 256 or 640 products in another order, through 6 blocks. Measured: 1.3e-6.
FLOAT32 = 1e-5
# Half precision rounds by up to 2**-11 at each of about 10 places of each of 6 blocks; independent errors add up like
# the root of their number, 8 * 2**-11. Measured: 1.3e-3.
FLOAT16 = 8 * 2**-11


@dataclasses.dataclass
class Row:
    """One line of the table; the tolerance is a part of max |logit|."""
    layout: str
    scheme: str
    judge: str
    got: np.ndarray
    expected: np.ndarray
    tolerance: float

    def __post_init__(self):
        assert self.got.shape == self.expected.shape and np.isfinite(self.got).all()
        self.difference = float(np.abs(self.got - self.expected).max())
        self.largest = float(np.abs(self.expected).max())
        self.got = self.expected = None  # rows live as long as the run

    def text(self):
        return (f"{self.layout:<18} {self.scheme:<15} {self.judge:<44} {self.difference:.2e} of {self.largest:5.2f}: "
                f"{self.difference / self.largest:.1e}, tolerance {self.tolerance:.1e}")

    def check(self):
        assert self.difference <= self.tolerance * self.largest, self.text()


class PareLogits:
    def __init__(self, pare, ids, scratch):
        self._pare, self._ids, self._scratch, self._known = pare, ids, scratch, {}

    def __call__(self, folder):
        key = str(folder)
        if key not in self._known:
            out = self._scratch / f"{len(self._known)}.npy"
            self._pare("eval", folder, "--input-ids", self._ids, "--logits-to", out, "--compute", "f32")
            self._known[key] = np.load(out)
        return self._known[key]


def worst(got, expected):
    """max |difference| as a part of max |logit|."""
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def copy_with(folder, out, change):
    """A copy of a folder of one file in which change(name, array) replaced each tensor."""
    shutil.copytree(folder, out)
    (path,) = pathlib.Path(out).glob("*.safetensors")
    tensors = {name: change(name, array) for name, array in checkpoint.read_file(path).items()}
    path.chmod(0o600)
    checkpoint.write_file(path, tensors)
    return out


def swap_nibbles(*suffixes):
    """Pairs of 4-bit codes in the other order: what a wrong nibble order does."""
    def change(name, array):
        if not name.endswith(suffixes):
            return array
        words = array.view(np.uint32)
        return ((words & 0x0F0F0F0F) << 4 | (words >> 4) & 0x0F0F0F0F).view(np.int32)
    return change


def lower_zeros(bits, *suffixes):
    """Every zero point one less: what mixing up the conventions of GPTQ v1 and v2 does. No field may hold 0."""
    ones = np.uint32(sum(1 << at for at in range(0, 32, bits)))

    def change(name, array):
        return (array.view(np.uint32) - ones).view(np.int32) if name.endswith(suffixes) else array
    return change


def relabel(folder, **changes):
    """Changes keys of the quantization configuration wherever the folder states it."""
    for path, key in ((folder / "config.json", "quantization_config"), (folder / "quantize_config.json", None)):
        if path.exists():
            whole = json.loads(path.read_text())
            (whole[key] if key else whole).update(changes)
            path.write_text(json.dumps(whole, indent=2))
    return folder
