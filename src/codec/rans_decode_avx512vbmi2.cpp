// rANS decoding with AVX-512 VBMI2: the 256 slots of a table lie in four registers. States are
// kept as two planes, 64 low bytes and 64 high bytes in the order of the lanes: the low bytes are
// the slots as they stand, and the bytes of a renormalisation expand straight into them. Two to
// four tiles are interleaved, because one step of one tile is a long chain of dependent operations.
#include "codec/rans_avx512vbmi2.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {
namespace {

#include "codec/prefetch.inc"

constexpr std::uint64_t kOddBytes = 0xAAAAAAAAAAAAAAAAULL;
constexpr std::uint64_t kLowHalf = 0xFFFFFFFFULL;

struct Table {
  __m512i index[4];  // of slots 0..63, 64..127, 128..191, 192..255
  __m512i freq, start, escape;
  __m512i low_of, high_of;  // two registers of 16-bit lanes to planes
  __m512i base;
  __m512i first, second;  // pair
};

struct Planes {
  __m512i low, high;
};

__m512i load(const void* p) { return _mm512_loadu_si512(p); }
__m512i broadcast(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
std::int64_t ones(std::uint64_t bits) { return static_cast<std::int64_t>(_mm_popcnt_u64(bits)); }

Table load_table(const DecodeTable& table) {
  Table t;
  for (int i = 0; i < 4; ++i)
    t.index[i] = load(table.symbol + 64 * i);
  t.freq = load(table.freq);
  t.start = load(table.start);
  t.escape = broadcast(table.escape);
  t.base = broadcast(table.base);
  t.first = load(table.first);
  t.second = load(table.second);
  alignas(64) std::uint8_t order[64];
  for (int i = 0; i < 64; ++i)
    order[i] = static_cast<std::uint8_t>(i % 2 == 0 ? i : 64 + i - 1);
  t.low_of = _mm512_load_si512(order);
  t.high_of = _mm512_add_epi8(t.low_of, broadcast(1));
  return t;
}

/// 64 states in memory, 32 from each place, to planes.
Planes split(const std::uint8_t* a, const std::uint8_t* b) {
  alignas(64) std::uint8_t even[64];
  for (int i = 0; i < 64; ++i)
    even[i] = static_cast<std::uint8_t>(2 * i);
  const __m512i low = _mm512_load_si512(even);
  const __m512i high = _mm512_add_epi8(low, broadcast(1));
  return {_mm512_permutex2var_epi8(load(a), low, load(b)),
          _mm512_permutex2var_epi8(load(a), high, load(b))};
}

/// How a step is done. Products of bytes are shorter when no frequency needs its eighth bit (the
/// instruction takes it for a sign). Interleaved tiles wait for free ports and take the fewest
/// operations; a tile alone waits for results and takes the quickest.
struct Manner {
  bool steep;
  bool alone;
};

/// freq * high of the even and of the odd lanes, as 16-bit numbers.
template <bool Steep>
inline void multiply(__m512i freq, __m512i high, __m512i& even, __m512i& odd) {
  const __m512i mask = _mm512_set1_epi16(255);
  const __m512i even_high = _mm512_and_si512(high, mask);
  const __m512i odd_high = _mm512_andnot_si512(mask, high);
  if (Steep) {
    even = _mm512_mullo_epi16(_mm512_and_si512(freq, mask), even_high);
    odd = _mm512_mulhi_epu16(_mm512_andnot_si512(mask, freq), odd_high);
  } else {
    even = _mm512_maddubs_epi16(even_high, freq);  // sums of neighbours, of which one is 0
    odd = _mm512_maddubs_epi16(odd_high, freq);
  }
}

/// x = freq * (x >> 8) + slot - start for all lanes, even and odd ones apart as 16-bit numbers.
/// Returns the indices.
template <Manner How>
inline __m512i step(const Table& t, Planes& x) {
  const __m512i index = _mm512_mask_mov_epi8(
      _mm512_permutex2var_epi8(t.index[0], x.low, t.index[1]), _mm512_movepi8_mask(x.low),
      _mm512_permutex2var_epi8(t.index[2], x.low, t.index[3]));
  const __m512i freq = _mm512_permutexvar_epi8(index, t.freq);
  const __m512i rest = _mm512_sub_epi8(x.low, _mm512_permutexvar_epi8(index, t.start));
  __m512i even;
  __m512i odd;
  multiply<How.steep>(freq, x.high, even, odd);
  even = _mm512_add_epi16(even, _mm512_and_si512(rest, _mm512_set1_epi16(255)));
  odd = _mm512_add_epi16(odd, _mm512_srli_epi16(rest, 8));
  if (How.alone) {
    x.low = _mm512_mask_mov_epi8(even, kOddBytes, _mm512_slli_epi16(odd, 8));
    x.high = _mm512_mask_mov_epi8(_mm512_srli_epi16(even, 8), kOddBytes, odd);
  } else {
    x.low = _mm512_permutex2var_epi8(even, t.low_of, odd);
    x.high = _mm512_permutex2var_epi8(even, t.high_of, odd);
  }
  return index;
}

/// Where a tile's reading and writing stand.
struct Cursor {
  const std::uint8_t* renorm;
  const std::uint8_t* escapes;
  const std::uint8_t* planes;
  std::uint8_t* out;
};

Cursor begin(const RansTile& tile) { return {tile.renorm, tile.escapes, tile.planes, tile.out}; }

/// False when more was taken than there is. At most 64 bytes too many: within the slack.
inline bool within(const Cursor& c, const RansTile& tile) {
  const std::int64_t left = tile.renorm + tile.renorm_bytes - c.renorm;
  const std::int64_t escapes_left = tile.escapes + tile.escape_count - c.escapes;
  return (left | escapes_left) >= 0;
}

bool used_up(const Cursor& c, const RansTile& tile) {
  return c.renorm == tile.renorm + tile.renorm_bytes &&
         c.escapes == tile.escapes + tile.escape_count;
}

/// One chunk of symbols from the values that its lanes name, `marker` where an escape is to come.
template <int Shift>
inline void put(const Table& t, __m512i values, __m512i marker, const RansTile& tile, Cursor& c) {
  const std::uint64_t escaped = _mm512_cmpeq_epi8_mask(values, marker);
  const __m512i escapes = load(c.escapes);
  c.escapes += ones(escaped);
  __m512i symbols = _mm512_mask_expand_epi8(values, escaped, escapes);
  symbols = _mm512_slli_epi16(symbols, Shift);  // none has bits that would reach its neighbour
  symbols = _mm512_add_epi8(symbols, t.base);
  for (int p = 0; p < Shift; ++p) {
    std::uint64_t bits;
    __builtin_memcpy(&bits, c.planes + 8 * static_cast<std::size_t>(p) * tile.chunks, 8);
    symbols = _mm512_mask_add_epi8(symbols, bits, symbols, broadcast(1 << p));
  }
  c.planes += 8;
  _mm512_storeu_si512(c.out, symbols);
  c.out += kChunk;
}

/// Which lanes below 256 may take a byte before chunk `end` of steps: none in quiet chunks.
inline std::uint64_t fed(const RansTile& tile, std::size_t chunk, std::size_t end) {
  return chunk + tile.quiet < end ? ~0ULL : 0;
}

/// The indices that states hold in a field of `t.seed_bits` bits.
struct Seeds {
  __m512i index;
  std::uint64_t wrong;  // lanes that name no index
};
inline Seeds read_seeds(const DecodeTable& table, const Planes& x, int from) {
  const __m512i mask = broadcast((1 << table.seed_bits) - 1);
  const __m512i index = _mm512_and_si512(_mm512_srl_epi16(x.low, _mm_cvtsi32_si128(from)), mask);
  return {index, _mm512_cmpgt_epu8_mask(index, broadcast(table.escape))};
}

/// N tiles of 64 lanes, each with registers of its own.
template <int Shift, std::size_t N, bool Steep>
struct Singles {
  Table t;
  const RansTile* tiles;
  Planes x[N];
  Cursor at[N];

  /// Chunks [from, to); false when a tile took more than there is.
  template <bool Ending>
  inline __attribute__((always_inline)) bool advance(std::size_t from, std::size_t to) {
    for (std::size_t chunk = from; chunk < to; ++chunk) {
#pragma GCC unroll 4
      for (std::size_t i = 0; i < N; ++i) {
        if (!within(at[i], tiles[i])) return false;
        ask_for<_MM_HINT_T0>(tiles[i].ahead, chunk);
        ask_for<_MM_HINT_T1>(tiles[i].ahead_out, chunk);
        const __m512i index = step<Manner{Steep, N <= 2}>(t, x[i]);
        std::uint64_t hungry = _mm512_testn_epi8_mask(x[i].high, x[i].high);
        if (Ending) hungry &= fed(tiles[i], chunk, to);
        const __m512i bytes = load(at[i].renorm);
        at[i].renorm += ones(hungry);
        x[i].high = _mm512_mask_mov_epi8(x[i].high, hungry, x[i].low);
        x[i].low = _mm512_mask_expand_epi8(x[i].low, hungry, bytes);
        put<Shift>(t, index, t.escape, tiles[i], at[i]);
      }
    }
    return true;
  }

  /// The chunk whose indices begin at bit `from` of the states.
  bool seeds(const DecodeTable& table, int from) {
    for (std::size_t i = 0; i < N; ++i) {
      const Seeds seeds = read_seeds(table, x[i], from);
      if (seeds.wrong != 0 || !within(at[i], tiles[i])) return false;
      put<Shift>(t, seeds.index, t.escape, tiles[i], at[i]);
    }
    return true;
  }

  bool done() const {
    for (std::size_t i = 0; i < N; ++i) {
      if (!used_up(at[i], tiles[i])) return false;
    }
    return true;
  }
};

/// Up to 2 * N tiles of 32 lanes, two to a register; the last register may be half empty.
template <std::size_t N, bool Odd, bool Steep>
struct Pairs {
  Table t;
  const RansTile* tiles;
  Planes x[N];
  Cursor at[2 * N];

  /// Whether register i has a second tile.
  static constexpr bool two(std::size_t i) { return !Odd || i + 1 < N; }

  template <bool Ending>
  inline __attribute__((always_inline)) bool advance(std::size_t from, std::size_t to) {
    for (std::size_t chunk = from; chunk < to; ++chunk) {
#pragma GCC unroll 2
      for (std::size_t i = 0; i < N; ++i) {
        const __m512i index = step<Manner{Steep, true}>(t, x[i]);
        const std::uint64_t hungry = _mm512_testn_epi8_mask(x[i].high, x[i].high);
        const __m512i low = x[i].low;
        if (!feed<Ending>(2 * i, hungry & kLowHalf, chunk, to, low, x[i])) return false;
        if (two(i) && !feed<Ending>(2 * i + 1, hungry & ~kLowHalf, chunk, to, low, x[i])) {
          return false;
        }
        put_both(index, i);
      }
    }
    return true;
  }

  /// Gives the lanes of tile `i` their bytes.
  template <bool Ending>
  inline bool feed(std::size_t i, std::uint64_t hungry, std::size_t chunk, std::size_t to,
                   __m512i low, Planes& own) {
    if (!within(at[i], tiles[i])) return false;
    if (Ending) hungry &= fed(tiles[i], chunk, to);
    const __m512i bytes = load(at[i].renorm);
    at[i].renorm += ones(hungry);
    own.high = _mm512_mask_mov_epi8(own.high, hungry, low);
    own.low = _mm512_mask_expand_epi8(own.low, hungry, bytes);
    return true;
  }

  inline void put_both(__m512i index, std::size_t i) {
    const __m512i marker = broadcast(kPairEscape);
    const __m512i first = _mm512_permutexvar_epi8(index, t.first);
    const __m512i second = _mm512_permutexvar_epi8(index, t.second);
    const __m512i a = _mm512_inserti64x4(first, _mm512_castsi512_si256(second), 1);
    put<0>(t, a, marker, tiles[2 * i], at[2 * i]);
    if (!two(i)) return;
    const __m512i b = _mm512_shuffle_i64x2(first, second, 0xEE);
    put<0>(t, b, marker, tiles[2 * i + 1], at[2 * i + 1]);
  }

  bool seeds(const DecodeTable& table, int from) {
    for (std::size_t i = 0; i < N; ++i) {
      const Seeds seeds = read_seeds(table, x[i], from);
      const std::uint64_t used = two(i) ? ~0ULL : kLowHalf;
      if ((seeds.wrong & used) != 0 || !within(at[2 * i], tiles[2 * i])) return false;
      if (two(i) && !within(at[2 * i + 1], tiles[2 * i + 1])) return false;
      put_both(seeds.index, i);
    }
    return true;
  }

  bool done() const {
    for (std::size_t i = 0; i < 2 * N - (Odd ? 1 : 0); ++i) {
      if (!used_up(at[i], tiles[i])) return false;
    }
    return true;
  }
};

std::size_t most_quiet(const RansTile* tiles, int count) {
  std::size_t most = 0;
  for (int i = 0; i < count; ++i)
    most = tiles[i].quiet > most ? tiles[i].quiet : most;
  return most;
}

/// Chunks at the end of a tile that lie in the states as they are.
std::size_t seeded_chunks(int escape, std::size_t chunks) {
  return escape < kSeedPairs && chunks > 1 ? 2 : 1;
}

template <typename Tiles>
bool decode_all(Tiles& all, const DecodeTable& table, std::size_t chunks, std::size_t quiet) {
  const std::size_t seeds = seeded_chunks(table.escape, chunks);
  const std::size_t steps = chunks - seeds;
  return all.template advance<false>(0, steps - quiet) &&
         all.template advance<true>(steps - quiet, steps) &&
         (seeds < 2 || all.seeds(table, table.seed_bits)) && all.seeds(table, 0) && all.done();
}

template <int Shift, std::size_t N, bool Steep>
bool decode_single(const DecodeTable& table, const RansTile* tiles) {
  Singles<Shift, N, Steep> all;
  all.t = load_table(table);
  all.tiles = tiles;
  for (std::size_t i = 0; i < N; ++i) {
    all.x[i] = split(tiles[i].states, tiles[i].states + 64);
    all.at[i] = begin(tiles[i]);
  }
  return decode_all(all, table, tiles->chunks, most_quiet(tiles, N));
}

template <std::size_t N, bool Odd, bool Steep>
bool decode_pair(const DecodeTable& table, const RansTile* tiles) {
  constexpr std::size_t kCount = 2 * N - (Odd ? 1 : 0);
  Pairs<N, Odd, Steep> all;
  all.t = load_table(table);
  all.tiles = tiles;
  for (std::size_t i = 0; i < kCount; ++i)
    all.at[i] = begin(tiles[i]);
  for (std::size_t i = 0; i < N; ++i)  // an empty half has the states of the tile beside it
    all.x[i] = split(tiles[2 * i].states, tiles[2 * i + 1 < kCount ? 2 * i + 1 : 2 * i].states);
  return decode_all(all, table, tiles->chunks, most_quiet(tiles, kCount));
}

template <std::size_t N, bool Steep>
bool decode_shifted(const DecodeTable& table, const RansTile* tiles) {
  switch (table.shift) {
    case 0:
      return decode_single<0, N, Steep>(table, tiles);
    case 1:
      return decode_single<1, N, Steep>(table, tiles);
    case 2:
      return decode_single<2, N, Steep>(table, tiles);
    default:
      return decode_single<3, N, Steep>(table, tiles);
  }
}

template <bool Steep>
bool decode_count(const DecodeTable& table, const RansTile* tiles, int count) {
  const bool pair = table.pair != 0;
  switch (count) {
    case 1:
      return pair ? decode_pair<1, true, Steep>(table, tiles)
                  : decode_shifted<1, Steep>(table, tiles);
    case 2:
      return pair ? decode_pair<1, false, Steep>(table, tiles)
                  : decode_shifted<2, Steep>(table, tiles);
    case 3:
      return pair ? decode_pair<2, true, Steep>(table, tiles)
                  : decode_shifted<3, Steep>(table, tiles);
    default:
      return pair ? decode_pair<2, false, Steep>(table, tiles)
                  : decode_shifted<4, Steep>(table, tiles);
  }
}

}  // namespace

bool decode_rans_avx512vbmi2(const DecodeTable* table, const RansTile* tiles, int count) {
  const bool steep = _mm512_movepi8_mask(load(table->freq)) != 0;
  return steep ? decode_count<true>(*table, tiles, count)
               : decode_count<false>(*table, tiles, count);
}

}  // namespace pare::codec::detail
