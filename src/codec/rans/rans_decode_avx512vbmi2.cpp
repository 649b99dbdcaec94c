// rANS decoding with AVX-512 VBMI2: the 256 slots of a table lie in four registers. States are
// kept as two planes, 64 low bytes and 64 high bytes in the order of the lanes: the low bytes are
// the slots as they stand, and the bytes of a renormalisation expand straight into them. Two to
// four tiles are interleaved, because one step of one tile is a long chain of dependent operations.
#include "codec/rans/rans_avx512vbmi2.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {
namespace {

#include "codec/rans/prefetch.inc"

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

/// Encoded bytes and places for decoded ones.
struct Wanted {
  Ahead in, out;

  inline __attribute__((always_inline)) void ask(std::size_t tile, std::size_t chunk) const {
    ask_for<kNear>(in, tile, chunk);
    ask_for<kFar>(out, tile, chunk);
  }
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

/// Where a tile's reading stands. Escapes need no look at their end: no more can be taken than
/// there are symbols, and so much may be read.
struct Cursor {
  const std::uint8_t* renorm;
  const std::uint8_t* escapes;
};

Cursor begin(const RansTile& tile) { return {tile.renorm, tile.escapes}; }

/// For how many chunks, which take 64 renormalisation bytes each at most, no more than the slack is
/// read; 0 when more was taken than there is.
inline std::size_t safe_chunks(const Cursor& c, const RansTile& tile) {
  const std::int64_t left = tile.renorm + tile.renorm_bytes - c.renorm;
  return left < 0 ? 0 : static_cast<std::size_t>(left) / kChunk + 1;
}

bool used_up(const Cursor& c, const RansTile& tile) {
  return c.renorm == tile.renorm + tile.renorm_bytes &&
         c.escapes == tile.escapes + tile.escape_count;
}

/// One chunk of symbols from the values that its lanes name, `marker` where an escape is to come.
template <int Shift>
inline void put(const Table& t, __m512i values, __m512i marker, const RansTile& tile,
                std::size_t chunk, Cursor& c) {
  const std::uint64_t escaped = _mm512_cmpeq_epi8_mask(values, marker);
  const __m512i escapes = load(c.escapes);
  c.escapes += ones(escaped);
  __m512i symbols = _mm512_mask_expand_epi8(values, escaped, escapes);
  symbols = _mm512_slli_epi16(symbols, Shift);  // none has bits that would reach its neighbour
  symbols = _mm512_add_epi8(symbols, t.base);
  for (int p = 0; p < Shift; ++p) {
    std::uint64_t bits;
    __builtin_memcpy(&bits, tile.planes + 8 * (static_cast<std::size_t>(p) * tile.chunks + chunk),
                     8);
    symbols = _mm512_mask_add_epi8(symbols, bits, symbols, broadcast(1 << p));
  }
  _mm512_storeu_si512(tile.out + kChunk * chunk, symbols);
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
  static constexpr std::size_t kTiles = N;
  Table t;
  const RansTile* tiles;
  Planes x[N];
  Cursor at[N];

  /// One chunk; chunk `end` is the first that takes no step.
  template <bool Ending>
  inline __attribute__((always_inline)) void advance(std::size_t chunk, std::size_t end,
                                                     const Wanted& wanted) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < N; ++i) {
      wanted.ask(i, chunk);
      const __m512i index = step<Manner{Steep, N <= 2}>(t, x[i]);
      std::uint64_t hungry = _mm512_testn_epi8_mask(x[i].high, x[i].high);
      if (Ending) hungry &= fed(tiles[i], chunk, end);
      const __m512i bytes = load(at[i].renorm);
      at[i].renorm += ones(hungry);
      x[i].high = _mm512_mask_mov_epi8(x[i].high, hungry, x[i].low);
      x[i].low = _mm512_mask_expand_epi8(x[i].low, hungry, bytes);
      put<Shift>(t, index, t.escape, tiles[i], chunk, at[i]);
    }
  }

  /// A chunk whose indices begin at bit `from` of the states.
  bool seeds(const DecodeTable& table, std::size_t chunk, int from) {
    for (std::size_t i = 0; i < N; ++i) {
      const Seeds seeds = read_seeds(table, x[i], from);
      if (seeds.wrong != 0) return false;
      put<Shift>(t, seeds.index, t.escape, tiles[i], chunk, at[i]);
    }
    return true;
  }
};

/// Up to 2 * N tiles of 32 lanes, two to a register; the last register may be half empty.
template <std::size_t N, bool Odd, bool Steep>
struct Pairs {
  static constexpr std::size_t kTiles = 2 * N - (Odd ? 1 : 0);
  Table t;
  const RansTile* tiles;
  Planes x[N];
  Cursor at[2 * N];

  /// Whether register i has a second tile.
  static constexpr bool two(std::size_t i) { return !Odd || i + 1 < N; }

  template <bool Ending>
  inline __attribute__((always_inline)) void advance(std::size_t chunk, std::size_t end,
                                                     const Wanted& wanted) {
#pragma GCC unroll 2
    for (std::size_t i = 0; i < N; ++i) {
      wanted.ask(2 * i, chunk);
      if (two(i)) wanted.ask(2 * i + 1, chunk);
      const __m512i index = step<Manner{Steep, true}>(t, x[i]);
      const std::uint64_t hungry = _mm512_testn_epi8_mask(x[i].high, x[i].high);
      const __m512i low = x[i].low;
      feed<Ending>(2 * i, hungry, kLowHalf, chunk, end, low, x[i]);
      if (two(i)) feed<Ending>(2 * i + 1, hungry, ~kLowHalf, chunk, end, low, x[i]);
      put_both(index, chunk, i);
    }
  }

  /// Gives the hungry lanes of tile `i`, which are among `lanes`, their bytes. A half without a
  /// tile may take what it likes, as nobody reads it: that is one operation less to wait for.
  template <bool Ending>
  inline void feed(std::size_t i, std::uint64_t hungry, std::uint64_t lanes, std::size_t chunk,
                   std::size_t end, __m512i low, Planes& own) {
    if (Ending) hungry &= fed(tiles[i], chunk, end);
    const __m512i bytes = load(at[i].renorm);
    at[i].renorm += ones(hungry & lanes);
    const std::uint64_t taking = two(i / 2) ? hungry & lanes : hungry;
    own.high = _mm512_mask_mov_epi8(own.high, taking, low);
    own.low = _mm512_mask_expand_epi8(own.low, taking, bytes);
  }

  inline void put_both(__m512i index, std::size_t chunk, std::size_t i) {
    const __m512i marker = broadcast(kPairEscape);
    const __m512i first = _mm512_permutexvar_epi8(index, t.first);
    const __m512i second = _mm512_permutexvar_epi8(index, t.second);
    const __m512i a = _mm512_inserti64x4(first, _mm512_castsi512_si256(second), 1);
    put<0>(t, a, marker, tiles[2 * i], chunk, at[2 * i]);
    if (!two(i)) return;
    const __m512i b = _mm512_shuffle_i64x2(first, second, 0xEE);
    put<0>(t, b, marker, tiles[2 * i + 1], chunk, at[2 * i + 1]);
  }

  bool seeds(const DecodeTable& table, std::size_t chunk, int from) {
    for (std::size_t i = 0; i < N; ++i) {
      const Seeds seeds = read_seeds(table, x[i], from);
      const std::uint64_t used = two(i) ? ~0ULL : kLowHalf;
      if ((seeds.wrong & used) != 0) return false;
      put_both(seeds.index, chunk, i);
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
std::size_t safe_chunks(const Tiles& all, std::size_t most) {
  for (std::size_t i = 0; i < Tiles::kTiles; ++i) {
    const std::size_t safe = safe_chunks(all.at[i], all.tiles[i]);
    most = safe < most ? safe : most;
  }
  return most;
}

template <typename Tiles>
bool used_up(const Tiles& all) {
  for (std::size_t i = 0; i < Tiles::kTiles; ++i) {
    if (!used_up(all.at[i], all.tiles[i])) return false;
  }
  return true;
}

/// All chunks that take steps; false when a tile took more than there is.
template <typename Tiles>
bool take_steps(Tiles& all, std::size_t steps, std::size_t quiet, const Wanted& wanted) {
  std::size_t chunk = 0;
  while (chunk < steps - quiet) {
    const std::size_t safe = safe_chunks(all, steps - quiet - chunk);
    if (safe == 0) return false;
    for (const std::size_t stop = chunk + safe; chunk < stop; ++chunk) {
      all.template advance<false>(chunk, steps, wanted);
    }
  }
  for (; chunk < steps; ++chunk) {
    if (safe_chunks(all, 1) == 0) return false;
    all.template advance<true>(chunk, steps, wanted);
  }
  return true;
}

template <typename Tiles>
bool decode_all(Tiles& all, const DecodeTable& table, std::size_t quiet, const Wanted& wanted) {
  const std::size_t chunks = all.tiles->chunks;
  const std::size_t seeds = seeded_chunks(table.escape, chunks);
  return take_steps(all, chunks - seeds, quiet, wanted) &&
         (seeds < 2 || all.seeds(table, chunks - 2, table.seed_bits)) &&
         all.seeds(table, chunks - 1, 0) && used_up(all);
}

template <int Shift, std::size_t N, bool Steep>
bool decode_single(const DecodeTable& table, const RansTile* tiles, const Wanted& wanted) {
  Singles<Shift, N, Steep> all;
  all.t = load_table(table);
  all.tiles = tiles;
  for (std::size_t i = 0; i < N; ++i) {
    all.x[i] = split(tiles[i].states, tiles[i].states + 64);
    all.at[i] = begin(tiles[i]);
  }
  return decode_all(all, table, most_quiet(tiles, N), wanted);
}

template <std::size_t N, bool Odd, bool Steep>
bool decode_pair(const DecodeTable& table, const RansTile* tiles, const Wanted& wanted) {
  Pairs<N, Odd, Steep> all;
  constexpr std::size_t kCount = all.kTiles;
  all.t = load_table(table);
  all.tiles = tiles;
  for (std::size_t i = 0; i < kCount; ++i)
    all.at[i] = begin(tiles[i]);
  for (std::size_t i = 0; i < N; ++i)  // an empty half has the states of the tile beside it
    all.x[i] = split(tiles[2 * i].states, tiles[2 * i + 1 < kCount ? 2 * i + 1 : 2 * i].states);
  return decode_all(all, table, most_quiet(tiles, kCount), wanted);
}

template <std::size_t N, bool Steep>
bool decode_shifted(const DecodeTable& table, const RansTile* tiles, const Wanted& wanted) {
  switch (table.shift) {
    case 0:
      return decode_single<0, N, Steep>(table, tiles, wanted);
    case 1:
      return decode_single<1, N, Steep>(table, tiles, wanted);
    case 2:
      return decode_single<2, N, Steep>(table, tiles, wanted);
    default:
      return decode_single<3, N, Steep>(table, tiles, wanted);
  }
}

template <bool Steep>
bool decode_count(const DecodeTable& table, const RansTile* tiles, int count,
                  const Wanted& wanted) {
  const bool pair = table.pair != 0;
  switch (count) {
    case 1:
      return pair ? decode_pair<1, true, Steep>(table, tiles, wanted)
                  : decode_shifted<1, Steep>(table, tiles, wanted);
    case 2:
      return pair ? decode_pair<1, false, Steep>(table, tiles, wanted)
                  : decode_shifted<2, Steep>(table, tiles, wanted);
    case 3:
      return pair ? decode_pair<2, true, Steep>(table, tiles, wanted)
                  : decode_shifted<3, Steep>(table, tiles, wanted);
    default:
      return pair ? decode_pair<2, false, Steep>(table, tiles, wanted)
                  : decode_shifted<4, Steep>(table, tiles, wanted);
  }
}

}  // namespace

bool decode_rans_avx512vbmi2(const DecodeTable* table, const RansTile* tiles, int count,
                             const Ahead& in, const Ahead& out) {
  const Wanted wanted = {in, out};
  const bool steep = _mm512_movepi8_mask(load(table->freq)) != 0;
  return steep ? decode_count<true>(*table, tiles, count, wanted)
               : decode_count<false>(*table, tiles, count, wanted);
}

}  // namespace pare::codec::detail
