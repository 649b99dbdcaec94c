"""A decoder of Pare's compressed stream in numpy, written from docs/formats/codec.md alone. Slow; checks every checksum."""
import struct
import numpy as np
import xxhash

TILE = 32768


class Table:
    def __init__(self, data):
        flags, self.base, n = data[:3]
        self.pair, self.shift, self.form, self.n = bool(flags & 1), flags >> 1 & 3, flags >> 3, n
        rest = np.frombuffer(data[3:], np.uint8).astype(np.int64)
        pairs, self.freq = np.append(rest[:n], 63), rest[n if self.pair else 0:]
        assert self.freq.sum() == 256 and len(self.freq) == n + 1 and (self.freq[:n] > 0).all()
        self.values = np.stack([pairs & 7, pairs >> 3], 1) if self.pair else np.arange(n + 1)[:, None]  # [index, member]
        self.owner, self.start = np.repeat(np.arange(n + 1), self.freq), np.cumsum(self.freq) - self.freq


class Stream:  # one tensor: .tile(i) decodes a tile, .decode() everything
    def __init__(self, info, index, payload):
        magic, version, self.transform, self.element, name, rank = struct.unpack_from("<4sHBB8sB7x", info)
        self.dtype, self.shape, at = name.rstrip(b"\0").decode(), struct.unpack_from(f"<{rank}Q", info, 24), 24 + 8 * rank
        size, tile, tiles, tables, self.tiles_per_table = struct.unpack_from("<QIIII", info, at)
        self.bytes, at, self.tables = int(np.prod(self.shape, dtype=np.int64)) * self.element, at + 24, []
        for _ in range(tables):
            end = at + 2 + int.from_bytes(info[at:at + 2], "little")
            self.tables, at = [*self.tables, Table(info[at + 2:end])], end
        self.content_hash, seal = struct.unpack_from("<QQ", info, at)
        assert xxhash.xxh3_64_intdigest(info[:at + 8] + index) == seal, "info or index is damaged"
        assert (magic, version, at + 16, tile) == (b"PARC", 1, len(info), TILE) and tiles == -(-self.bytes // TILE) and size == len(payload)
        self.rows, self.payload, self.ends = np.frombuffer(index, "<u4").reshape(tiles, 2), payload, [*struct.unpack(f"<{2 * tiles}I", index)[2::2], size]

    def decode(self):
        plain = b"".join(self.tile(i) for i in range(len(self.ends)))
        assert xxhash.xxh3_64_intdigest(plain) == self.content_hash, "the tensor is damaged"
        return plain

    def tile(self, i):
        data, size = self.payload[int(self.rows[i, 0]):self.ends[i]], min(TILE, self.bytes - i * TILE)
        assert xxhash.xxh3_64_intdigest(data) & 0xFFFFFFFF == self.rows[i, 1], f"tile {i} is damaged"
        if data[0] < 2:
            return bytes(data[1:]) if data[0] == 0 else bytes(data[1:2]) * size
        count = {0: size, 1: 2 * size, 2: size // self.element}[self.transform]
        middle = len(data) - (count * (self.element - 1) if self.transform == 2 else 0)
        body, low = data[:middle], np.frombuffer(data[middle:], np.uint8)
        symbols = fast(body, count) if data[0] == 3 else rans(body, count, self.tables[i // self.tiles_per_table])
        if self.transform < 2:
            return (symbols[:size] | symbols[size:] << 4 if self.transform else symbols).tobytes()
        rotated = np.concatenate([low.reshape(count, -1), symbols[:, None]], 1).view(f"<u{self.element}")[:, 0]
        return (rotated >> 1 | rotated << (8 * self.element - 1)).astype(f"<u{self.element}").tobytes()


def fields(data, width, count):
    """`count` numbers of `width` bits, lowest bits first, and what follows their bytes."""
    used = -(-count * width // 8)
    bits = np.unpackbits(np.frombuffer(data[:used], np.uint8), bitorder="little")[:count * width]
    return bits.reshape(count, width) @ (1 << np.arange(width)), data[used:]


def fast(data, count):
    base, escapes, blocks = data[1], struct.unpack_from("<H", data, 2)[0], -(-count // 128)
    codes, rest = fields(data[4:], 4, 128 * blocks)  # in turn the low and the high nibbles of 64 bytes
    codes = codes.reshape(blocks, 64, 2).transpose(0, 2, 1).ravel()
    symbols = base + np.where(codes < 8, codes, codes - 16)
    assert (codes == 8).sum() == escapes == len(rest)
    symbols[codes == 8] = np.frombuffer(rest, np.uint8)
    return (symbols & 255)[:count].astype(np.uint8)


def escape_list(section, count, form):
    c, section = low, section = fields(section, (8, 3, 4)[form], count)
    if form == 2:
        c, section = fields(section, 2, count)
    for most, width, base in ([], [(7, 4, 7), (22, 8, 0)], [(3, 4, 0)])[form]:  # `most`: read on
        more = c == most
        wide, section = fields(section, width, int(more.sum()))
        c[more] = base + wide
    assert not section
    return c << 4 | low if form == 2 else c


def rans(data, count, t):
    _, quiet, renorm, escapes = struct.unpack_from("<BBHH", data)
    lanes, chunks = 32 if t.pair else 64, -(-count // 64)
    seeds, bits, at = min(chunks, 2 if t.n < 16 else 1), int(t.n).bit_length(), 6 + 2 * lanes
    x, stream, index = np.frombuffer(data[6:at], "<u2").astype(np.int64), data[at:at + renorm], []
    for chunk in range(chunks - seeds):
        slot, i = x & 255, t.owner[x & 255]
        index, x = [*index, i], t.freq[i] * (x >> 8) + slot - t.start[i]
        short = np.flatnonzero(x < 256) if chunk < chunks - seeds - quiet else []
        x[short], stream = x[short] << 8 | np.frombuffer(stream[:len(short)], np.uint8), stream[len(short):]
    index = np.array([*index, *(x >> bits * seed & (1 << bits) - 1 for seed in reversed(range(seeds)))])
    assert not stream and index.max() <= t.n
    value = t.values[index].transpose(0, 2, 1).reshape(chunks * 64)  # (first, second) by lane -> by place
    planes, escaped = len(data) - 8 * chunks * t.shift, value == (7 if t.pair else t.n)
    c, (even, odd) = escape_list(data[at + renorm:planes], escapes, t.form), (3, 2) if t.pair else (t.n, 255 >> t.shift)
    value[escaped] = np.where(c % 2 == 0, even + c // 2, odd - c // 2)  # fails unless there are as many
    low = fields(data[planes:], 1, 64 * chunks * t.shift)[0].reshape(t.shift, 64 * chunks)
    return ((value << t.shift) + (1 << np.arange(t.shift)) @ low + t.base & 255)[:count].astype(np.uint8)
