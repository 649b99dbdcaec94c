"""Makes the .npy files of this folder with the real libraries: python make.py (numpy 2.4.6, torch 2.13.0).

numpy1.npy is what numpy 1 writes: pickle protocol 3 and the old module name, which text globals allow to be swapped.
"""
import io
import pathlib
import pickle

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent


def arrays():
    return {
        "i8": np.array([[-3, -2, -1], [0, 1, 2]], np.int8),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "i64": np.array([5, 2**33], np.int64),
        "same_type": np.array([7], np.int8),
        "zero_d": np.array(1.5, np.float32),
        "scalar": np.float16(0.5),
        "empty": np.zeros((0, 4), np.int32),
    }


def tensors():
    base = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    return {
        "i8": torch.tensor([[-3, -2, -1], [0, 1, 2]], dtype=torch.int8),
        "bf16": torch.tensor([1.0, -2.0], dtype=torch.bfloat16),
        "transposed": base.t(),
        "view": base[:, 1:],
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "zero_d": torch.tensor(7),
        "empty": torch.zeros((0, 4), dtype=torch.float16),
    }


def numpy1_bytes(values):
    holder = np.array(values, dtype=object)
    stream = pickle.dumps(holder, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    return header.getvalue() + stream


np.save(HERE / "numpy2.npy", arrays())
np.save(HERE / "torch.npy", tensors())
(HERE / "numpy1.npy").write_bytes(numpy1_bytes(arrays()))
