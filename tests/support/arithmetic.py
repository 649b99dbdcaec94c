"""The quantization formulas in numpy, written from docs/formats/ascend.md and nothing else.

Symbols: W float weight [O, I]; q integer code; s scale and o offset with one column per group; all float32.
"""
import numpy as np

EPS = np.float32(1.1920929e-07)  # smallest scale: the float32 machine epsilon


def per_group(matrix, columns):
    """[O, I] -> [O, G, I/G] for scales [O, G]; a per-tensor scale [1] is one group of everything."""
    rows, width = matrix.shape
    assert width % columns == 0
    return matrix.reshape(rows, columns, width // columns)


def columns_of(scale):
    return 1 if scale.ndim == 1 else scale.shape[1]


def broadcast(scale):
    """[1] or [O, G] -> something that broadcasts against [O, G, I/G]."""
    scale = np.asarray(scale, np.float32)
    return scale.reshape(1, 1, 1) if scale.ndim == 1 else scale[:, :, None]


def quantize_codes(weight, scale, offset, bits, lowest=None):
    """clamp(round_half_even(W / s + o)); `lowest` is -Qmax where the symmetric range is narrowed."""
    top = 2 ** (bits - 1) - 1
    lowest = -top - 1 if lowest is None else lowest
    grouped = per_group(np.asarray(weight, np.float32), columns_of(scale))
    codes = np.rint(grouped / broadcast(scale) + broadcast(offset))
    return np.clip(codes, lowest, top).reshape(weight.shape).astype(np.int8)


def dequantize(codes, scale, offset):
    """(q - o) * s as float32."""
    grouped = per_group(np.asarray(codes, np.float32), columns_of(scale))
    return ((grouped - broadcast(offset)) * broadcast(scale)).reshape(codes.shape).astype(np.float32)


def minmax_scale(weight, columns, bits, symmetric, per_tensor):
    """-> float32 (scale, offset, minimum), each [1] or [O, G]; nothing is cast to the model's dtype yet."""
    grouped = per_group(np.asarray(weight, np.float32), columns)
    axes = (0, 1, 2) if per_tensor else 2
    low = np.minimum(grouped.min(axis=axes), np.float32(0))
    high = np.maximum(grouped.max(axis=axes), np.float32(0))
    if per_tensor:
        low, high = low.reshape(1), high.reshape(1)
    if symmetric:
        return np.maximum(np.maximum(-low, high) / np.float32(2 ** (bits - 1) - 1), EPS), np.zeros_like(low), low
    scale = np.maximum((high - low) / np.float32(2 ** bits - 1), EPS)
    return scale, zero_point(low, scale, bits), low


def zero_point(low, scale, bits):
    return np.rint(-low / scale) - np.float32(2 ** (bits - 1))


def quant_bias(bias, deq_scale, input_offset, codes, dtype):
    """round(bias / deq_scale - input_offset * sum of codes) per output, computed in `dtype`."""
    sums = codes.astype(np.int64).sum(axis=1).astype(dtype)
    correction = sums * dtype(np.asarray(input_offset, np.float32)[0])
    scaled = np.zeros(len(sums), dtype) if bias is None else bias.astype(dtype) / deq_scale.astype(dtype)
    return np.rint(scaled - correction).astype(np.int64)


def unpack_int4(packed, axis):
    """int8 [.., n/2] along `axis` -> int8 codes -8..7: the low nibble is the even index."""
    raw = packed.view(np.uint8)
    low, high = (raw & 0xF).astype(np.int8), (raw >> 4).astype(np.int8)
    signed = [np.where(part > 7, part - 16, part).astype(np.int8) for part in (low, high)]
    stacked = np.stack(signed, axis=axis + 1)
    shape = list(packed.shape)
    shape[axis] *= 2
    return stacked.reshape(shape)


def deq_scale_from_stored(stored):
    """float32 values of a stored deq_scale: F32 as it is, I64 by the IEEE-754 bits in its low half."""
    if stored.dtype == np.float32:
        return stored
    assert stored.dtype == np.int64
    assert np.array_equal(stored >> 32, np.zeros_like(stored)), "positive scales leave the high half zero"
    return stored.astype(np.uint32).view(np.float32)


def fake_quantize_static(x, scale, offset):
    return (np.clip(np.rint(x / scale + offset), -128, 127) - offset) * scale
