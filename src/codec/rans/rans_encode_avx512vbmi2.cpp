// rANS encoding with AVX-512 VBMI2. States are kept as two planes, 64 low bytes and 64 high bytes
// in the order of the lanes: what a step writes, compares, looks up and ends with are bytes. Only
// the quotients need 16 bits.
#include "codec/rans/rans_avx512vbmi2.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {
namespace {

#include "codec/rans/prefetch.inc"

constexpr std::uint64_t kEvenBytes = 0x5555555555555555ULL;
constexpr std::uint64_t kLowHalf = 0xFFFFFFFFULL;

__m512i load(const void* p) { return _mm512_loadu_si512(p); }
__m512i broadcast(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
std::size_t ones(std::uint64_t bits) { return static_cast<std::size_t>(_mm_popcnt_u64(bits)); }

struct Table {
  __m512i freq, start, recip_low, recip_high;
  __m512i pair_index, first, second;
  __m512i base, escape;
};

Table load_table(const EncodeTable& table) {
  Table t;
  t.freq = load(table.freq);
  t.start = load(table.start);
  t.recip_low = load(table.recip_low);
  t.recip_high = load(table.recip_high);
  t.pair_index = load(table.pair_index);
  t.first = load(table.first);
  t.second = load(table.second);
  t.base = broadcast(table.base);
  t.escape = broadcast(table.escape);
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

// ---- the states: 64 low bytes and 64 high bytes, in the order of the lanes

struct Planes {
  __m512i low, high;
};

/// What a lane needs of its index.
struct Entry {
  __m512i freq, start, recip_low, recip_high;
};

inline Entry look_up(const Table& t, __m512i index) {
  return {_mm512_permutexvar_epi8(index, t.freq), _mm512_permutexvar_epi8(index, t.start),
          _mm512_permutexvar_epi8(index, t.recip_low),
          _mm512_permutexvar_epi8(index, t.recip_high)};
}

struct Ramp {
  alignas(64) std::uint8_t places[128];
};

constexpr Ramp make_ramp() {
  Ramp r = {};
  for (int i = 0; i < 128; ++i)
    r.places[i] = static_cast<std::uint8_t>(i % 64);
  return r;
}

constexpr Ramp kRamp = make_ramp();

/// Puts the chosen bytes in front of `at`, in the order of the lanes, and others in front of those.
inline void put_before(std::uint8_t*& at, std::uint64_t chosen, __m512i bytes) {
  const std::size_t count = ones(chosen);
  const __m512i last = _mm512_permutexvar_epi8(load(kRamp.places + count),
                                               _mm512_maskz_compress_epi8(chosen, bytes));
  _mm512_storeu_si512(at - 64, last);
  at -= count;
}

/// low bytes of a * b.
inline __m512i multiply_low(__m512i a, __m512i b) {
  const __m512i even = _mm512_mullo_epi16(a, b);  // its odd bytes are of no use
  const __m512i odd =
      _mm512_mullo_epi16(_mm512_srli_epi16(a, 8), _mm512_and_si512(b, _mm512_set1_epi16(-256)));
  return _mm512_mask_mov_epi8(odd, kEvenBytes, even);
}

struct Quotient {
  __m512i quotient, rest;  // bytes: a state is below 256 * freq when it is divided
};

/// Numbers from low and high bytes by freq. mulhi gives the quotient, or one too little.
template <bool Steep>
inline Quotient divide(__m512i low, __m512i high, const Entry& e) {
  const __m512i a = _mm512_unpacklo_epi8(low, high);
  const __m512i b = _mm512_unpackhi_epi8(low, high);
  __m512i qa = _mm512_mulhi_epu16(a, _mm512_unpacklo_epi8(e.recip_low, e.recip_high));
  __m512i qb = _mm512_mulhi_epu16(b, _mm512_unpackhi_epi8(e.recip_low, e.recip_high));
  if (Steep) {  // twice freq does not fit a byte
    const __m512i fa = _mm512_unpacklo_epi8(e.freq, _mm512_setzero_si512());
    const __m512i fb = _mm512_unpackhi_epi8(e.freq, _mm512_setzero_si512());
    const __m512i one = _mm512_set1_epi16(1);
    __m512i ra = _mm512_sub_epi16(a, _mm512_mullo_epi16(qa, fa));
    __m512i rb = _mm512_sub_epi16(b, _mm512_mullo_epi16(qb, fb));
    const __mmask32 more_a = _mm512_cmpge_epu16_mask(ra, fa);
    const __mmask32 more_b = _mm512_cmpge_epu16_mask(rb, fb);
    qa = _mm512_mask_add_epi16(qa, more_a, qa, one);
    qb = _mm512_mask_add_epi16(qb, more_b, qb, one);
    ra = _mm512_mask_sub_epi16(ra, more_a, ra, fa);
    rb = _mm512_mask_sub_epi16(rb, more_b, rb, fb);
    return {_mm512_packus_epi16(qa, qb), _mm512_packus_epi16(ra, rb)};
  }
  const __m512i quotient = _mm512_packus_epi16(qa, qb);
  const __m512i rest = _mm512_sub_epi8(low, multiply_low(quotient, e.freq));
  const __mmask64 more = _mm512_cmpge_epu8_mask(rest, e.freq);
  return {_mm512_mask_add_epi8(quotient, more, quotient, broadcast(1)),
          _mm512_mask_sub_epi8(rest, more, rest, e.freq)};
}

/// One step; the renormalisation bytes of `lanes` go in front of `at`.
template <bool Steep>
inline void step(const Table& t, __m512i index, Planes& x, std::uint64_t lanes, std::uint8_t*& at) {
  const Entry e = look_up(t, index);
  const __mmask64 gives = _mm512_cmpge_epu8_mask(x.high, e.freq);
  put_before(at, gives & lanes, x.low);
  const __m512i low = _mm512_mask_mov_epi8(x.low, gives, x.high);
  const __m512i high = _mm512_maskz_mov_epi8(~gives, x.high);
  const Quotient q = divide<Steep>(low, high, e);
  x.low = _mm512_add_epi8(q.rest, e.start);
  x.high = q.quotient;
}

/// Bytes first, first + 2, ... of two registers.
__m512i every_other(int first) {
  alignas(64) std::uint8_t bytes[64];
  for (int i = 0; i < 64; ++i)
    bytes[i] = static_cast<std::uint8_t>(first + 2 * i);
  return _mm512_load_si512(bytes);
}

/// States in memory, 32 at each place, to planes and back.
Planes load_states(const std::uint8_t* first, const std::uint8_t* second) {
  const __m512i a = load(first);
  const __m512i b = load(second);
  return {_mm512_permutex2var_epi8(a, every_other(0), b),
          _mm512_permutex2var_epi8(a, every_other(1), b)};
}

void store_states(const Planes& x, int lanes, std::uint8_t* states) {
  alignas(64) std::uint8_t low[64];
  alignas(64) std::uint8_t high[64];
  _mm512_store_si512(low, x.low);
  _mm512_store_si512(high, x.high);
  for (int i = 0; i < lanes; ++i) {
    states[2 * i] = low[i];
    states[2 * i + 1] = high[i];
  }
}

/// 64 lanes of one tile on their way.
template <int Shift, bool Steep>
struct Single {
  Planes x;
  std::uint8_t* at;
  __m512i most_listed;  // u of the last symbol that is none
  std::size_t escapes = 0;

  Single() = default;
  Single(const EncodeTable& table, const RansEncoding& tile)
      : x(load_states(tile.states, tile.states + 64)),
        at(tile.renorm_end),
        most_listed(broadcast((table.escape << Shift) - 1)) {}
  inline void code(const Table& t, const RansEncoding& tile, std::size_t chunk) {
    step<Steep>(t, single_index<Shift>(t, tile.symbols + kChunk * chunk), x, ~0ULL, at);
  }
  inline void list(const Table& t, const RansEncoding& tile, std::size_t chunk) {
    list_single<Shift>(t, tile, chunk, most_listed, escapes);
  }
  void fold(const Table& t, const RansEncoding& tile) const {
    fold_single<Shift>(t, tile.escapes, escapes);
  }
  void store(std::uint8_t* states) const { store_states(x, 64, states); }
};

/// 32 lanes, in the lower halves.
template <bool Steep>
struct Pair {
  Planes x;
  std::uint8_t* at;
  std::size_t escapes = 0;

  Pair() = default;
  Pair(const EncodeTable& /*table*/, const RansEncoding& tile)
      : x(load_states(tile.states, tile.states)), at(tile.renorm_end) {}
  inline void code(const Table& t, const RansEncoding& tile, std::size_t chunk) {
    const __m512i u = _mm512_sub_epi8(load(tile.symbols + kChunk * chunk), t.base);
    step<Steep>(t, pair_index(t, u), x, kLowHalf, at);
  }
  inline void list(const Table& t, const RansEncoding& tile, std::size_t chunk) {
    list_pair(t, tile, chunk, escapes);
  }
  void fold(const Table& t, const RansEncoding& tile) const { fold_pair(t, tile.escapes, escapes); }
  void store(std::uint8_t* states) const { store_states(x, 32, states); }
};

template <typename Lane>
void finish(const Table& t, RansEncoding& tile, const Lane& lane) {
  tile.renorm_bytes = static_cast<std::size_t>(tile.renorm_end - lane.at);
  tile.escape_count = lane.escapes;
  lane.fold(t, tile);
  lane.store(tile.states);
}

/// Chunks are coded backwards and listed forwards, in one loop: the steps alone are a long chain of
/// dependent operations, and listing fits into its gaps.
template <typename Lane, std::size_t N>
void encode(const EncodeTable& table, RansEncoding* tiles, const Ahead& in) {
  const Table t = load_table(table);
  Lane lanes[N];
  std::size_t common = tiles[0].chunks;
  for (std::size_t k = 0; k < N; ++k) {
    lanes[k] = Lane(table, tiles[k]);
    const std::size_t steps = tiles[k].chunks - tiles[k].done;
    common = steps < common ? steps : common;
  }
  for (std::size_t i = 0; i < common; ++i) {
#pragma GCC unroll 2
    for (std::size_t k = 0; k < N; ++k) {
      lanes[k].code(t, tiles[k], tiles[k].chunks - tiles[k].done - 1 - i);
      lanes[k].list(t, tiles[k], i);
      ask_for<kNear>(in, k, i);
    }
  }
  for (std::size_t k = 0; k < N; ++k) {  // what one has more than the others
    for (std::size_t left = tiles[k].chunks - tiles[k].done - common; left-- > 0;)
      lanes[k].code(t, tiles[k], left);
    for (std::size_t i = common; i < tiles[k].chunks; ++i)
      lanes[k].list(t, tiles[k], i);
    finish(t, tiles[k], lanes[k]);
  }
}

template <typename Lane>
void encode_tiles(const EncodeTable& table, RansEncoding* tiles, int count, const Ahead& in) {
  count == 1 ? encode<Lane, 1>(table, tiles, in) : encode<Lane, 2>(table, tiles, in);
}

template <bool Steep>
void encode_all(const EncodeTable& table, RansEncoding* tiles, int count, const Ahead& in) {
  if (table.pair != 0) return encode_tiles<Pair<Steep>>(table, tiles, count, in);
  switch (table.shift) {
    case 0:
      return encode_tiles<Single<0, Steep>>(table, tiles, count, in);
    case 1:
      return encode_tiles<Single<1, Steep>>(table, tiles, count, in);
    case 2:
      return encode_tiles<Single<2, Steep>>(table, tiles, count, in);
    default:
      return encode_tiles<Single<3, Steep>>(table, tiles, count, in);
  }
}

}  // namespace

void encode_rans_avx512vbmi2(const EncodeTable* table, RansEncoding* tiles, int count,
                             const Ahead& in) {
  const bool steep = _mm512_cmpgt_epu8_mask(load(table->freq), broadcast(128)) != 0;
  steep ? encode_all<true>(*table, tiles, count, in) : encode_all<false>(*table, tiles, count, in);
}

}  // namespace pare::codec::detail
