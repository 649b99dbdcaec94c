// The codec's kernels in plain C++: the reference for every other variant, and the one that runs
// everywhere. Contracts: rans_kernels.h.
#include "codec/rans/chunk_index.h"
#include "codec/rans/rans_kernels.h"

namespace pare::codec::detail {
namespace {

using U8 = std::uint8_t;

// ---- decoding

struct Cursor {
  const U8* renorm;
  const U8* renorm_end;
  const U8* escapes;
  const U8* escapes_end;

  bool inside() const { return renorm <= renorm_end && escapes <= escapes_end; }
  bool done() const { return renorm == renorm_end && escapes == escapes_end; }
};

// One chunk's indices to symbols; pair tables have 32 of them.
void put_chunk(const DecodeTable& t, const RansTile& tile, std::size_t chunk, const U8* index,
               Cursor& at) {
  U8* out = tile.out + kChunk * chunk;
  for (int j = 0; j < kChunk; ++j) {
    const int i = index[t.pair != 0 ? j % 32 : j];
    U8 value = static_cast<U8>(i);
    if (t.pair != 0) value = j < 32 ? t.first[i] : t.second[i];
    if (value == (t.pair != 0 ? kPairEscape : t.escape)) value = *at.escapes++;
    unsigned u = static_cast<unsigned>(value) << t.shift;
    for (int p = 0; p < t.shift; ++p) {
      const U8* plane = tile.planes + 8 * tile.chunks * static_cast<std::size_t>(p) + 8 * chunk;
      u |= (plane[j / 8] >> (j % 8) & 1U) << p;
    }
    out[j] = static_cast<U8>(u + t.base);
  }
}

bool seeds_sound(const DecodeTable& t, const std::uint16_t* x, int lanes, unsigned at, U8* index) {
  bool sound = true;
  for (int j = 0; j < lanes; ++j) {
    index[j] = static_cast<U8>(x[j] >> at & ((1U << t.seed_bits) - 1));
    sound = sound && index[j] <= t.escape;
  }
  return sound;
}

void step(const DecodeTable& t, std::uint16_t* x, int lanes, bool quiet, U8* index, Cursor& at) {
  for (int j = 0; j < lanes; ++j) {
    const std::uint32_t e = t.entry[x[j] & 255U];
    index[j] = static_cast<U8>(e);
    unsigned next = (e >> 8 & 255U) * (x[j] >> 8U) + (e >> 16);
    if (next < kStateMin && !quiet) next = next << 8 | *at.renorm++;
    x[j] = static_cast<std::uint16_t>(next);
  }
}

bool decode_tile(const DecodeTable& t, const RansTile& tile) {
  const int lanes = t.pair != 0 ? 32 : 64;
  std::uint16_t x[64];
  for (int j = 0; j < lanes; ++j) {
    x[j] = static_cast<std::uint16_t>(tile.states[2 * j] | tile.states[2 * j + 1] << 8);
  }
  Cursor at{tile.renorm, tile.renorm + tile.renorm_bytes, tile.escapes,
            tile.escapes + tile.escape_count};
  const std::size_t steps = tile.chunks - seed_chunks(t.escape, tile.chunks);
  U8 index[64];
  for (std::size_t chunk = 0; chunk < tile.chunks; ++chunk) {
    if (!at.inside()) return false;
    if (chunk < steps) {
      step(t, x, lanes, chunk + tile.quiet >= steps, index, at);
    } else if (!seeds_sound(t, x, lanes, chunk + 1 == tile.chunks ? 0 : t.seed_bits, index)) {
      return false;
    }
    put_chunk(t, tile, chunk, index, at);
  }
  return at.done();
}

bool decode_rans(const DecodeTable* table, const RansTile* tiles, int count, const Ahead& /*in*/,
                 const Ahead& /*out*/) {
  for (int i = 0; i < count; ++i) {
    if (!decode_tile(*table, tiles[i])) return false;
  }
  return true;
}

// ---- encoding

// The byte c that stands for an escaped value (u for pairs, hi otherwise).
U8 escape_code(const EncodeTable& t, unsigned value) {
  if (t.pair != 0) {
    const int d = static_cast<std::int8_t>(static_cast<U8>(value - 3));
    return static_cast<U8>(d >= 0 ? 2 * d : -2 * d - 1);
  }
  const int above = static_cast<int>(value) - t.escape;
  const int below = (255 >> t.shift) - static_cast<int>(value);
  return static_cast<U8>(above <= below ? 2 * above : 2 * below + 1);
}

bool escapes_at(const EncodeTable& t, const U8* index, int j) {
  if (t.pair == 0) return index[j] == t.escape;
  return (j < 32 ? t.first[index[j]] : t.second[index[j - 32]]) == kPairEscape;
}

// Escapes and bit planes of one chunk.
void list_chunk(const EncodeTable& t, RansEncoding& tile, std::size_t chunk, const U8* u,
                const U8* index) {
  for (int j = 0; j < kChunk; ++j) {
    if (!escapes_at(t, index, j)) continue;
    tile.escapes[tile.escape_count++] = escape_code(t, static_cast<unsigned>(u[j] >> t.shift));
  }
  for (int p = 0; p < t.shift; ++p) {
    U8* plane = tile.planes + 8 * tile.chunks * static_cast<std::size_t>(p) + 8 * chunk;
    for (int b = 0; b < 8; ++b) {
      unsigned bits = 0;
      for (int j = 0; j < 8; ++j)
        bits |= (u[8 * b + j] >> p & 1U) << j;
      plane[b] = static_cast<U8>(bits);
    }
  }
}

void step(const EncodeTable& t, const U8* index, int lanes, std::uint16_t* x, U8*& at) {
  for (int j = lanes - 1; j >= 0; --j) {
    const unsigned f = t.freq[index[j]] == 0 ? 1U : t.freq[index[j]];
    unsigned v = x[j];
    if (v >> 8U >= f) {
      *--at = static_cast<U8>(v);
      v >>= 8U;
    }
    x[j] = static_cast<std::uint16_t>((v / f << 8U) + v % f + t.start[index[j]]);
  }
}

void encode_tile(const EncodeTable& t, RansEncoding& tile) {
  const int lanes = t.pair != 0 ? 32 : 64;
  U8 u[64];
  U8 index[64];
  tile.escape_count = 0;
  for (std::size_t chunk = 0; chunk < tile.chunks; ++chunk) {
    index_chunk(t, tile.symbols + kChunk * chunk, u, index);
    list_chunk(t, tile, chunk, u, index);
  }
  std::uint16_t x[64];
  for (int j = 0; j < lanes; ++j) {
    x[j] = static_cast<std::uint16_t>(tile.states[2 * j] | tile.states[2 * j + 1] << 8);
  }
  U8* at = tile.renorm_end;
  for (std::size_t chunk = tile.chunks - tile.done; chunk-- > 0;) {
    index_chunk(t, tile.symbols + kChunk * chunk, u, index);
    step(t, index, lanes, x, at);
  }
  tile.renorm_bytes = static_cast<std::size_t>(tile.renorm_end - at);
  for (int j = 0; j < lanes; ++j) {
    tile.states[2 * j] = static_cast<U8>(x[j]);
    tile.states[2 * j + 1] = static_cast<U8>(x[j] >> 8);
  }
}

void encode_rans(const EncodeTable* table, RansEncoding* tiles, int count, const Ahead& /*in*/) {
  for (int i = 0; i < count; ++i)
    encode_tile(*table, tiles[i]);
}

#include "codec/rans/escape_sections.inc"

// ---- the fast tier

bool decode_nibbles(const U8* codes, std::size_t blocks, U8 base, const U8* escapes,
                    std::size_t escape_count, U8* out) {
  const U8* at = escapes;
  const U8* end = escapes + escape_count;
  for (std::size_t block = 0; block < blocks; ++block) {
    if (at > end) return false;
    for (std::size_t j = 0; j < 128; ++j) {
      const int nibble = codes[64 * block + j % 64] >> (j < 64 ? 0 : 4) & 15;
      const int d = nibble < 8 ? nibble : nibble - 16;
      out[128 * block + j] = nibble == 8 ? *at++ : static_cast<U8>(base + d);
    }
  }
  return at == end;
}

std::size_t encode_nibbles(const U8* symbols, std::size_t blocks, U8 base, U8* codes, U8* escapes) {
  std::size_t count = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    for (std::size_t j = 0; j < 128; ++j) {
      const U8 symbol = symbols[128 * block + j];
      const U8 d = static_cast<U8>(symbol - base);
      const bool fits = d < 8 || d > 248;
      if (!fits) escapes[count++] = symbol;
      const unsigned nibble = fits ? d & 15U : 8U;
      U8& code = codes[64 * block + j % 64];
      code = static_cast<U8>(j < 64 ? nibble : code | nibble << 4);
    }
  }
  return count;
}

// ---- transforms

void split_floats(const U8* in, std::size_t count, int size, U8* symbols, U8* low) {
  const auto bytes = static_cast<std::size_t>(size);
  for (std::size_t i = 0; i < count; ++i, in += bytes, low += bytes - 1) {
    symbols[i] = static_cast<U8>(in[bytes - 1] << 1 | in[bytes - 2] >> 7);
    unsigned carry = in[bytes - 1] >> 7;  // the sign comes round to bit 0
    for (std::size_t b = 0; b + 1 < bytes; ++b) {
      low[b] = static_cast<U8>(in[b] << 1 | carry);
      carry = in[b] >> 7;
    }
  }
}

void merge_floats(const U8* symbols, const U8* low, std::size_t count, int size, U8* out) {
  const auto bytes = static_cast<std::size_t>(size);
  for (std::size_t i = 0; i < count; ++i, out += bytes, low += bytes - 1) {
    for (std::size_t b = 0; b + 1 < bytes; ++b) {
      const unsigned above = b + 2 < bytes ? low[b + 1] : symbols[i];
      out[b] = static_cast<U8>(low[b] >> 1 | above << 7);
    }
    out[bytes - 1] = static_cast<U8>(symbols[i] >> 1 | low[0] << 7);
  }
}

void split_nibbles(const U8* in, std::size_t bytes, U8* symbols) {
  for (std::size_t i = 0; i < bytes; ++i) {
    symbols[i] = in[i] & 15U;
    symbols[bytes + i] = in[i] >> 4;
  }
}

void merge_nibbles(const U8* symbols, std::size_t bytes, U8* out) {
  for (std::size_t i = 0; i < bytes; ++i) {
    out[i] = static_cast<U8>((symbols[i] & 15) | symbols[bytes + i] << 4);
  }
}

}  // namespace

const CodecKernels kScalarKernels = {
    decode_rans,    encode_rans,  expand_escapes, pack_escapes,  decode_nibbles,
    encode_nibbles, split_floats, merge_floats,   split_nibbles, merge_nibbles,
};

}  // namespace pare::codec::detail
