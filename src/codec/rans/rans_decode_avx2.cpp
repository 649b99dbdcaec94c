// rANS decoding with AVX2: a gather per eight lanes brings index, frequency and offset of a slot.
#include "codec/rans/rans_avx2.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {
namespace {

#include "codec/rans/rans_lanes_avx2.inc"

/// Where a tile's reading stands.
struct Cursor {
  const U8* renorm;
  const U8* renorm_end;
  const U8* escapes;
  const U8* escapes_end;

  bool inside() const { return renorm <= renorm_end && escapes <= escapes_end; }
  bool done() const { return renorm == renorm_end && escapes == escapes_end; }
};

/// One step of eight lanes. Returns the entries of their slots.
inline __m256i step(const DecodeTable& t, __m256i& x, bool quiet, const U8*& renorm) {
  const __m256i byte = _mm256_set1_epi32(255);
  const __m256i entry =
      _mm256_i32gather_epi32(reinterpret_cast<const int*>(t.entry), _mm256_and_si256(x, byte), 4);
  const __m256i freq = _mm256_and_si256(_mm256_srli_epi32(entry, 8), byte);
  x = _mm256_add_epi32(_mm256_mullo_epi16(freq, _mm256_srli_epi32(x, 8)),
                       _mm256_srli_epi32(entry, 16));
  if (quiet) return entry;
  const __m256i hungry = _mm256_cmpgt_epi32(_mm256_set1_epi32(kStateMin), x);
  const auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(hungry)));
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(renorm));
  const __m256i fed =
      _mm256_cvtepu8_epi32(_mm_shuffle_epi8(bytes, shuffle_of(kLaneShuffles.expand[mask])));
  x = _mm256_blendv_epi8(x, _mm256_or_si256(_mm256_slli_epi32(x, 8), fed), hungry);
  renorm += ones(mask);
  return entry;
}

/// The low bytes of 32 lanes.
inline __m256i low_bytes(const __m256i* v) {
  const __m256i byte = _mm256_set1_epi32(255);
  const __m256i a = _mm256_packus_epi32(_mm256_and_si256(v[0], byte), _mm256_and_si256(v[1], byte));
  const __m256i b = _mm256_packus_epi32(_mm256_and_si256(v[2], byte), _mm256_and_si256(v[3], byte));
  return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b),
                                     _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/// Puts the next escapes where the mask says.
inline __m256i splice(__m256i values, unsigned escaped, const U8*& escapes) {
  if (escaped == 0) return values;
  alignas(32) U8 bytes[32];
  store(bytes, values);
  for (; escaped != 0; escaped &= escaped - 1)
    bytes[__builtin_ctz(escaped)] = *escapes++;
  return load(bytes);
}

/// Bit p of the symbols, from 32 bits of its plane.
inline __m256i plane_bits(const U8* plane, int p) {
  int bits;
  __builtin_memcpy(&bits, plane, sizeof bits);
  const __m256i spread = _mm256_shuffle_epi8(
      _mm256_set1_epi32(bits),
      _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const __m256i own_bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
  const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, own_bit), own_bit);
  return _mm256_and_si256(set, broadcast(1 << p));
}

/// Values u (or hi) of 32 symbols, with escapes in place, to symbols in memory.
inline void put(const DecodeTable& t, const RansTile& tile, std::size_t at, __m256i values) {
  for (int p = 0; p < t.shift; ++p)
    values = _mm256_add_epi8(values, values);
  for (int p = 0; p < t.shift; ++p) {
    const U8* plane = tile.planes + 8 * tile.chunks * static_cast<std::size_t>(p) + at / 8;
    values = _mm256_or_si256(values, plane_bits(plane, p));
  }
  store(tile.out + at, _mm256_add_epi8(values, broadcast(t.base)));
}

/// Symbols of one chunk from the indices of its lanes, 32 to a register.
inline void put_chunk(const DecodeTable& t, const RansTile& tile, std::size_t chunk,
                      const __m256i* index, Cursor& at) {
  const __m256i marker = broadcast(t.pair != 0 ? kPairEscape : t.escape);
  for (std::size_t half = 0; half < 2; ++half) {
    __m256i values = index[t.pair != 0 ? 0 : half];
    if (t.pair != 0) values = lookup(half == 0 ? t.first : t.second, values);
    const unsigned escaped = sign_bits(_mm256_cmpeq_epi8(values, marker));
    put(t, tile, kChunk * chunk + 32 * half, splice(values, escaped, at.escapes));
  }
}

/// a >= b for unsigned bytes.
__m256i at_least(__m256i a, __m256i b) { return _mm256_cmpeq_epi8(_mm256_max_epu8(a, b), a); }

/// The indices that 32 states hold in the field of `t.seed_bits` bits at bit `from`.
bool read_seeds(const DecodeTable& t, const __m256i* x, int from, __m256i& index) {
  const __m256i low = _mm256_srl_epi16(low_bytes(x), _mm_cvtsi32_si128(from));
  index = _mm256_and_si256(low, broadcast((1 << t.seed_bits) - 1));
  return sign_bits(at_least(broadcast(t.escape), index)) == ~0U;
}

template <std::size_t Groups>
bool decode_tile(const DecodeTable& t, const RansTile& tile) {
  __m256i x[Groups];
  for (std::size_t i = 0; i < Groups; ++i)
    x[i] = _mm256_cvtepu16_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(tile.states + 16 * i)));
  Cursor at{tile.renorm, tile.renorm + tile.renorm_bytes, tile.escapes,
            tile.escapes + tile.escape_count};
  const std::size_t seeds = t.escape < kSeedPairs && tile.chunks > 1 ? 2 : 1;
  const std::size_t steps = tile.chunks - seeds;
  __m256i index[Groups / 4];
  for (std::size_t chunk = 0; chunk < tile.chunks; ++chunk) {
    if (!at.inside()) return false;
    if (chunk < steps) {
      __m256i entry[Groups];
      for (std::size_t i = 0; i < Groups; ++i)
        entry[i] = step(t, x[i], chunk + tile.quiet >= steps, at.renorm);
      for (std::size_t i = 0; i < Groups / 4; ++i)
        index[i] = low_bytes(entry + 4 * i);
    } else {
      const int from = chunk + 1 == tile.chunks ? 0 : t.seed_bits;
      bool sound = true;
      for (std::size_t i = 0; i < Groups / 4; ++i)
        sound = read_seeds(t, x + 4 * i, from, index[i]) && sound;
      if (!sound) return false;
    }
    put_chunk(t, tile, chunk, index, at);
  }
  return at.done();
}

}  // namespace

bool decode_rans_avx2(const DecodeTable* table, const RansTile* tiles, int count,
                      const Ahead& /*in*/, const Ahead& /*out*/) {
  for (int i = 0; i < count; ++i) {
    const bool sound =
        table->pair != 0 ? decode_tile<4>(*table, tiles[i]) : decode_tile<8>(*table, tiles[i]);
    if (!sound) return false;
  }
  return true;
}

}  // namespace pare::codec::detail
