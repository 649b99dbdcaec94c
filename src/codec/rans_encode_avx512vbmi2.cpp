// rANS encoding with AVX-512 VBMI2. States are 16-bit numbers, even and odd lanes in registers of
// their own; frequencies and reciprocals are looked up for 64 lanes at once.
#include "codec/rans_avx512vbmi2.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {
namespace {

constexpr std::uint64_t kOddBytes = 0xAAAAAAAAAAAAAAAAULL;
constexpr std::uint64_t kEvenBytes = ~kOddBytes;

__m512i load(const void* p) { return _mm512_loadu_si512(p); }
__m512i broadcast(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
std::size_t ones(std::uint64_t bits) { return static_cast<std::size_t>(_mm_popcnt_u64(bits)); }

struct Table {
  __m512i freq;                // bytes
  __m512i start[2], recip[2];  // 16-bit numbers
  __m512i pair_index, first, second;
  __m512i base, escape;
  __m512i low_of;  // low bytes of even and odd lanes, in turn
};

/// 64 numbers of 16 bits, from their low and high bytes.
void widen(const std::uint8_t* low, const std::uint8_t* high, __m512i* out) {
  for (int half = 0; half < 2; ++half) {
    const auto part = [&](const std::uint8_t* bytes) {
      const void* from = bytes + 32 * half;
      return _mm512_cvtepu8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
    };
    out[half] = part(low);
    if (high != nullptr) out[half] = _mm512_or_si512(out[half], _mm512_slli_epi16(part(high), 8));
  }
}

Table load_table(const EncodeTable& table) {
  Table t;
  t.freq = load(table.freq);
  widen(table.start, nullptr, t.start);
  widen(table.recip_low, table.recip_high, t.recip);
  t.pair_index = load(table.pair_index);
  t.first = load(table.first);
  t.second = load(table.second);
  t.base = broadcast(table.base);
  t.escape = broadcast(table.escape);
  alignas(64) std::uint8_t order[64];
  for (int i = 0; i < 64; ++i)
    order[i] = static_cast<std::uint8_t>(i % 2 == 0 ? i : 64 + i - 1);
  t.low_of = _mm512_load_si512(order);
  return t;
}

template <int Shift>
inline __m512i shift_right(__m512i bytes) {
  if (Shift == 0) return bytes;
  return _mm512_and_si512(_mm512_srli_epi16(bytes, Shift), broadcast(255 >> Shift));
}

// ---- single: 64 lanes, lane j of a chunk codes symbol j

template <int Shift>
inline __m512i single_index(const Table& t, const std::uint8_t* symbols) {
  const __m512i u = _mm512_sub_epi8(load(symbols), t.base);
  return _mm512_min_epu8(shift_right<Shift>(u), t.escape);
}

/// Lists the escaped symbols of one chunk, as they are, and its bit planes; `count` are there
/// already.
template <int Shift>
inline void list_single(const Table& t, const RansEncoding& tile, std::size_t chunk,
                        __m512i most_listed, std::size_t& count) {
  const __m512i symbols = load(tile.symbols + kChunk * chunk);
  const __m512i u = _mm512_sub_epi8(symbols, t.base);
  const std::uint64_t escaped = _mm512_cmpgt_epu8_mask(u, most_listed);
  _mm512_storeu_si512(tile.escapes + count, _mm512_maskz_compress_epi8(escaped, symbols));
  count += ones(escaped);
  for (std::size_t p = 0; p < Shift; ++p) {
    const std::uint64_t bits = _mm512_test_epi8_mask(u, broadcast(1 << p));
    __builtin_memcpy(tile.planes + 8 * (p * tile.chunks + chunk), &bits, 8);
  }
}

/// Listed symbols to bytes c.
template <int Shift>
void fold_single(const Table& t, std::uint8_t* escapes, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 64) {
    const __m512i high = shift_right<Shift>(_mm512_sub_epi8(load(escapes + i), t.base));
    const __m512i above = _mm512_sub_epi8(high, t.escape);
    const __m512i below = _mm512_sub_epi8(broadcast(255 >> Shift), high);
    const __m512i nearer = _mm512_min_epu8(above, below);
    const __m512i twice = _mm512_add_epi8(nearer, nearer);
    const __mmask64 odd = _mm512_cmpgt_epu8_mask(above, below);
    _mm512_storeu_si512(escapes + i, _mm512_mask_add_epi8(twice, odd, twice, broadcast(1)));
  }
}

// ---- pair: 32 lanes, lane j codes symbols j and j + 32

inline __m512i pair_index(const Table& t, __m512i u) {
  const __m512i small = _mm512_min_epu8(u, broadcast(kPairEscape));
  const __m512i second = _mm512_shuffle_i64x2(small, small, 0xEE);
  const __m512i code = _mm512_or_si512(small, _mm512_slli_epi16(second, 3));
  return _mm512_permutexvar_epi8(code, t.pair_index);
}

inline __m256i pair_index_at(const Table& t, const std::uint8_t* symbols) {
  return _mm512_castsi512_si256(pair_index(t, _mm512_sub_epi8(load(symbols), t.base)));
}

/// Lists the escapes of one chunk as they are: members for which the pair found says 7.
inline void list_pair(const Table& t, const RansEncoding& tile, std::size_t chunk,
                      std::size_t& count) {
  const __m512i symbols = load(tile.symbols + kChunk * chunk);
  const __m512i index = pair_index(t, _mm512_sub_epi8(symbols, t.base));
  const __m512i first = _mm512_permutexvar_epi8(index, t.first);
  const __m512i second = _mm512_permutexvar_epi8(index, t.second);
  const __m512i said = _mm512_inserti64x4(first, _mm512_castsi512_si256(second), 1);
  const std::uint64_t escaped = _mm512_cmpeq_epi8_mask(said, broadcast(kPairEscape));
  _mm512_storeu_si512(tile.escapes + count, _mm512_maskz_compress_epi8(escaped, symbols));
  count += ones(escaped);
}

void fold_pair(const Table& t, std::uint8_t* escapes, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 64) {
    const __m512i u = _mm512_sub_epi8(load(escapes + i), t.base);
    const __m512i d = _mm512_sub_epi8(u, broadcast(3));
    const __m512i magnitude = _mm512_abs_epi8(d);
    const __m512i twice = _mm512_add_epi8(magnitude, magnitude);
    const __mmask64 negative = _mm512_movepi8_mask(d);
    _mm512_storeu_si512(escapes + i, _mm512_mask_sub_epi8(twice, negative, twice, broadcast(1)));
  }
}

// ---- the states

/// What a lane needs of its index, as 16-bit numbers.
struct Entry {
  __m512i freq, start, recip;
};

/// x = (y / freq) * 256 + y % freq + start.
inline __m512i push(__m512i y, const Entry& e) {
  const __m512i quotient = _mm512_mulhi_epu16(y, e.recip);  // or one too small
  const __m512i rest = _mm512_sub_epi16(y, _mm512_mullo_epi16(quotient, e.freq));
  const __m512i x =
      _mm512_add_epi16(_mm512_slli_epi16(quotient, 8), _mm512_add_epi16(rest, e.start));
  const __mmask32 more = _mm512_cmpge_epu16_mask(rest, e.freq);
  return _mm512_mask_add_epi16(x, more, x, _mm512_sub_epi16(_mm512_set1_epi16(256), e.freq));
}

/// Bytes of even lanes from one register, of odd lanes from another.
inline __m512i weave(__m512i even, __m512i odd) {
  return _mm512_mask_mov_epi8(even, kOddBytes, odd);
}

inline __m512i low_bytes(__m512i x) { return _mm512_and_si512(x, _mm512_set1_epi16(255)); }

struct Lanes {
  __m512i even, odd;
};

/// One step of 64 lanes; their renormalisation bytes go in front of `at`.
inline void step(const Table& t, __m512i index, Lanes& x, std::uint8_t*& at) {
  const __m512i freq = _mm512_permutexvar_epi8(index, t.freq);
  const __m512i odd_index = _mm512_srli_epi16(index, 8);  // a lookup takes the low six bits
  const Entry even = {low_bytes(freq), _mm512_permutex2var_epi16(t.start[0], index, t.start[1]),
                      _mm512_permutex2var_epi16(t.recip[0], index, t.recip[1])};
  const Entry odd = {_mm512_srli_epi16(freq, 8),
                     _mm512_permutex2var_epi16(t.start[0], odd_index, t.start[1]),
                     _mm512_permutex2var_epi16(t.recip[0], odd_index, t.recip[1])};

  const __m512i even_high = _mm512_srli_epi16(x.even, 8);
  const __m512i odd_high = _mm512_srli_epi16(x.odd, 8);
  const __mmask32 even_gives = _mm512_cmpge_epu16_mask(even_high, even.freq);
  const __mmask32 odd_gives = _mm512_cmpge_epu16_mask(odd_high, odd.freq);
  const __m512i low = _mm512_permutex2var_epi8(x.even, t.low_of, x.odd);
  const __m512i high = weave(even_high, x.odd);
  const __mmask64 gives = _mm512_cmpge_epu8_mask(high, freq);
  const std::size_t bytes = ones(gives);
  at -= bytes;
  _mm512_mask_storeu_epi8(at, _bzhi_u64(~0ULL, static_cast<unsigned>(bytes)),
                          _mm512_maskz_compress_epi8(gives, low));
  x.even = push(_mm512_mask_mov_epi16(x.even, even_gives, even_high), even);
  x.odd = push(_mm512_mask_mov_epi16(x.odd, odd_gives, odd_high), odd);
}

/// One step of 32 lanes.
inline void step(const Table& t, __m256i index, __m512i& x, std::uint8_t*& at) {
  const __m512i wide = _mm512_cvtepu8_epi16(index);
  const Entry e = {_mm512_maskz_permutexvar_epi8(kEvenBytes, wide, t.freq),
                   _mm512_permutex2var_epi16(t.start[0], wide, t.start[1]),
                   _mm512_permutex2var_epi16(t.recip[0], wide, t.recip[1])};
  const __m512i high = _mm512_srli_epi16(x, 8);
  const __mmask32 gives = _mm512_cmpge_epu16_mask(high, e.freq);
  const std::size_t bytes = ones(gives);
  at -= bytes;
  _mm256_mask_storeu_epi8(at, _bzhi_u32(~0U, static_cast<unsigned>(bytes)),
                          _mm256_maskz_compress_epi8(gives, _mm512_cvtepi16_epi8(x)));
  x = push(_mm512_mask_mov_epi16(x, gives, high), e);
}

/// Bytes first, first + 2, ... of two registers.
__m512i every_other(int first) {
  alignas(64) std::uint8_t bytes[64];
  for (int i = 0; i < 64; ++i)
    bytes[i] = static_cast<std::uint8_t>(first + 2 * i);
  return _mm512_load_si512(bytes);
}

/// States of 64 lanes in memory, to lanes and back.
Lanes load_lanes(const std::uint8_t* states) {
  const __m512i a = load(states);
  const __m512i b = load(states + 64);
  const __m512i low = _mm512_permutex2var_epi8(a, every_other(0), b);
  const __m512i high = _mm512_permutex2var_epi8(a, every_other(1), b);
  return {weave(low, _mm512_slli_epi16(high, 8)), weave(_mm512_srli_epi16(low, 8), high)};
}

void store_lanes(const Lanes& x, std::uint8_t* states) {
  alignas(64) std::uint16_t even[32];
  alignas(64) std::uint16_t odd[32];
  _mm512_store_si512(even, x.even);
  _mm512_store_si512(odd, x.odd);
  for (int i = 0; i < 32; ++i) {
    __builtin_memcpy(states + 4 * i, &even[i], 2);
    __builtin_memcpy(states + 4 * i + 2, &odd[i], 2);
  }
}

/// 64 lanes of one tile on their way.
template <int Shift>
struct Single {
  Lanes x;
  std::uint8_t* at;
  __m512i most_listed;  // u of the last symbol that is none
  std::size_t escapes = 0;

  Single(const EncodeTable& table, const RansEncoding& tile)
      : x(load_lanes(tile.states)),
        at(tile.renorm_end),
        most_listed(broadcast((table.escape << Shift) - 1)) {}
  inline void code(const Table& t, const RansEncoding& tile, std::size_t chunk) {
    step(t, single_index<Shift>(t, tile.symbols + kChunk * chunk), x, at);
  }
  inline void list(const Table& t, const RansEncoding& tile, std::size_t chunk) {
    list_single<Shift>(t, tile, chunk, most_listed, escapes);
  }
  void fold(const Table& t, const RansEncoding& tile) const {
    fold_single<Shift>(t, tile.escapes, escapes);
  }
  void store(std::uint8_t* states) const { store_lanes(x, states); }
};

/// 32 lanes.
struct Pair {
  __m512i x;
  std::uint8_t* at;
  std::size_t escapes = 0;

  Pair(const EncodeTable& /*table*/, const RansEncoding& tile)
      : x(load(tile.states)), at(tile.renorm_end) {}
  inline void code(const Table& t, const RansEncoding& tile, std::size_t chunk) {
    step(t, pair_index_at(t, tile.symbols + kChunk * chunk), x, at);
  }
  inline void list(const Table& t, const RansEncoding& tile, std::size_t chunk) {
    list_pair(t, tile, chunk, escapes);
  }
  void fold(const Table& t, const RansEncoding& tile) const { fold_pair(t, tile.escapes, escapes); }
  void store(std::uint8_t* states) const { _mm512_storeu_si512(states, x); }
};

/// Chunks are coded backwards and listed forwards, in one loop: the steps alone are a long chain of
/// dependent operations, and listing fits into its gaps.
template <typename Lane, std::size_t N>
void encode(const EncodeTable& table, RansEncoding* tiles) {
  const Table t = load_table(table);
  Lane first(table, tiles[0]);
  Lane second(table, tiles[N - 1]);
  Lane* const lanes[2] = {&first, &second};
  std::size_t common = tiles[0].chunks;
  for (std::size_t k = 0; k < N; ++k) {
    const std::size_t steps = tiles[k].chunks - tiles[k].done;
    common = steps < common ? steps : common;
  }
  const std::size_t last0 = tiles[0].chunks - tiles[0].done - 1;
  const std::size_t last1 = tiles[N - 1].chunks - tiles[N - 1].done - 1;
  for (std::size_t i = 0; i < common; ++i) {
    first.code(t, tiles[0], last0 - i);
    if (N == 2) second.code(t, tiles[1], last1 - i);
    first.list(t, tiles[0], i);
    if (N == 2) second.list(t, tiles[1], i);
  }
  for (std::size_t k = 0; k < N; ++k) {  // what one has more than the other
    Lane& lane = *lanes[k];
    for (std::size_t left = tiles[k].chunks - tiles[k].done - common; left-- > 0;)
      lane.code(t, tiles[k], left);
    for (std::size_t i = common; i < tiles[k].chunks; ++i)
      lane.list(t, tiles[k], i);
    tiles[k].renorm_bytes = static_cast<std::size_t>(tiles[k].renorm_end - lane.at);
    lane.fold(t, tiles[k]);
    tiles[k].escape_count = lane.escapes;
    lane.store(tiles[k].states);
  }
}

template <typename Lane>
void encode_tiles(const EncodeTable& table, RansEncoding* tiles, int count) {
  count == 1 ? encode<Lane, 1>(table, tiles) : encode<Lane, 2>(table, tiles);
}

}  // namespace

void encode_rans_avx512vbmi2(const EncodeTable* table, RansEncoding* tiles, int count) {
  if (table->pair != 0) return encode_tiles<Pair>(*table, tiles, count);
  switch (table->shift) {
    case 0:
      return encode_tiles<Single<0>>(*table, tiles, count);
    case 1:
      return encode_tiles<Single<1>>(*table, tiles, count);
    case 2:
      return encode_tiles<Single<2>>(*table, tiles, count);
    default:
      return encode_tiles<Single<3>>(*table, tiles, count);
  }
}

}  // namespace pare::codec::detail
