"""A decoder of Pare's compressed stream in numpy, written from docs/formats/codec.md alone. Slow, and checks little."""
import struct

import numpy as np

TILE = 32768


class Table:
    def __init__(self, data):
        flags, self.base, n = data[:3]
        self.pair, self.shift, self.form, self.n = bool(flags & 1), flags >> 1 & 3, flags >> 3, n
        rest = np.frombuffer(data[3:], np.uint8).astype(np.int64)
        pairs, self.freq = np.append(rest[:n], 63), rest[n if self.pair else 0:]
        self.values = np.stack([pairs & 7, pairs >> 3], 1) if self.pair else np.arange(n + 1)[:, None]  # [index, member]
        self.owner, self.start = np.repeat(np.arange(n + 1), self.freq), np.cumsum(self.freq) - self.freq


class Stream:
    """One tensor: decode tiles with .tile(i), everything with .decode()."""

    def __init__(self, info, index, payload):
        magic, version, self.transform, self.element, name, rank = struct.unpack_from("<4sHBB8sB7x", info)
        assert magic == b"PARC" and version == 1
        self.dtype, at = name.rstrip(b"\0").decode(), 24
        self.shape = struct.unpack_from(f"<{rank}Q", info, at)
        size, tile, tiles, tables, self.tiles_per_table = struct.unpack_from("<QIIII", info, at + 8 * rank)
        assert tile == TILE and size == len(payload)
        self.bytes, at, self.tables = int(np.prod(self.shape, dtype=np.int64)) * self.element, at + 8 * rank + 24, []
        for _ in range(tables):
            (length,) = struct.unpack_from("<H", info, at)
            self.tables.append(Table(info[at + 2:at + 2 + length]))
            at += 2 + length
        self.content_hash, self.seal = struct.unpack_from("<QQ", info, at)
        assert at + 16 == len(info) and tiles == -(-self.bytes // TILE)
        self.rows, self.payload = np.frombuffer(index, "<u4").reshape(tiles, 2), payload
        self.ends = [*self.rows[1:, 0].tolist(), size]

    def decode(self):
        return b"".join(self.tile(i) for i in range(len(self.ends)))

    def tile(self, i):
        data, size = self.payload[int(self.rows[i, 0]):self.ends[i]], min(TILE, self.bytes - i * TILE)
        if data[0] < 2:
            return bytes(data[1:]) if data[0] == 0 else bytes(data[1:2]) * size
        count = {0: size, 1: 2 * size, 2: size // self.element}[self.transform]
        low = count * (self.element - 1) if self.transform == 2 else 0
        body, low = data[:len(data) - low], np.frombuffer(data[len(data) - low:], np.uint8)
        symbols = fast(body, count) if data[0] == 3 else rans(body, count, self.tables[i // self.tiles_per_table])
        if self.transform == 0:
            return symbols.tobytes()
        if self.transform == 1:
            return (symbols[:size] | symbols[size:] << 4).tobytes()
        rotated = np.concatenate([low.reshape(count, -1), symbols[:, None]], 1).view(f"<u{self.element}")[:, 0]
        return (rotated >> 1 | rotated << (8 * self.element - 1)).astype(f"<u{self.element}").tobytes()


def fields(data, width, count):
    """`count` numbers of `width` bits, lowest bits first, and what follows their bytes."""
    used = -(-count * width // 8)
    bits = np.unpackbits(np.frombuffer(data[:used], np.uint8), bitorder="little")[:count * width]
    return bits.reshape(count, width) @ (1 << np.arange(width)), data[used:]


def fast(data, count):
    base, escapes = data[1], struct.unpack_from("<H", data, 2)[0]
    blocks = -(-count // 128)
    codes = np.frombuffer(data[4:4 + 64 * blocks], np.uint8).reshape(blocks, 64).astype(np.int64)
    codes = np.concatenate([codes & 15, codes >> 4], 1).ravel()
    symbols = base + np.where(codes < 8, codes, codes - 16)
    assert (codes == 8).sum() == escapes == len(data) - 4 - 64 * blocks
    symbols[codes == 8] = np.frombuffer(data[4 + 64 * blocks:], np.uint8)
    return (symbols & 255)[:count].astype(np.uint8)


def escape_list(section, count, form):
    c, section = fields(section, 8 if form == 0 else 4, count)
    if form == 1:
        c[c == 15], section = fields(section, 8, int((c == 15).sum()))
    elif form == 2:
        high, section = fields(section, 2, count)
        high[high == 3], section = fields(section, 4, int((high == 3).sum()))
        c |= high << 4
    assert not section
    return c


def rans(data, count, t):
    _, quiet, renorm, escapes = struct.unpack_from("<BBHH", data)
    lanes, chunks = 32 if t.pair else 64, -(-count // 64)
    seeds, bits, at = min(chunks, 2 if t.n < 16 else 1), int(t.n).bit_length(), 6 + 2 * lanes
    x, taken, index = np.frombuffer(data[6:at], "<u2").astype(np.int64), 0, np.empty((chunks, lanes), np.int64)
    stream = np.frombuffer(data[at:at + renorm], np.uint8)
    for chunk in range(chunks - seeds):
        slot = x & 255
        i = index[chunk] = t.owner[slot]
        x = t.freq[i] * (x >> 8) + slot - t.start[i]
        if chunk < chunks - seeds - quiet:
            short = x < 256
            x[short] = x[short] << 8 | stream[taken:taken + short.sum()]
            taken += short.sum()
    for seed in range(seeds):
        index[chunks - 1 - seed] = x >> (bits * seed) & ((1 << bits) - 1)
    assert taken == renorm and index.max() <= t.n
    planes = len(data) - 8 * chunks * t.shift
    value = t.values[index].transpose(0, 2, 1).reshape(chunks * 64)  # (first, second) by lane -> by place
    escaped, c = value == (7 if t.pair else t.n), escape_list(data[at + renorm:planes], escapes, t.form)
    assert escaped.sum() == escapes
    even, odd = (3, 2) if t.pair else (t.n, 255 >> t.shift)
    value[escaped] = np.where(c % 2 == 0, even + c // 2, odd - c // 2)
    low = fields(data[planes:], 1, 64 * chunks * t.shift)[0].reshape(t.shift, 64 * chunks)
    return ((value << t.shift) + (1 << np.arange(t.shift)) @ low + t.base & 255)[:count].astype(np.uint8)
