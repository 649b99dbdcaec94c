// rANS encoding with AVX2: eight lanes to a register, divided as floats. A state and a frequency
// are exact there, and the rounded quotient cannot reach the next integer: they are 1 / 255 apart.
#include "codec/rans/rans_avx2.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {
namespace {

#include "codec/rans/rans_lanes_avx2.inc"

struct Bytes64 {
  __m256i part[2];
};

Bytes64 load_u(const EncodeTable& t, const RansEncoding& tile, std::size_t chunk) {
  const U8* p = tile.symbols + kChunk * chunk;
  const __m256i base = broadcast(t.base);
  return {{_mm256_sub_epi8(load(p), base), _mm256_sub_epi8(load(p + 32), base)}};
}

__m256i high_part(const EncodeTable& t, __m256i u) {
  return _mm256_and_si256(_mm256_srl_epi16(u, _mm_cvtsi32_si128(t.shift)),
                          broadcast(255 >> t.shift));
}

/// Indices of a chunk; of pairs only the first register counts, and the second is the same.
Bytes64 indices(const EncodeTable& t, const Bytes64& u) {
  const __m256i escape = broadcast(t.escape);
  if (t.pair == 0) {
    return {{_mm256_min_epu8(high_part(t, u.part[0]), escape),
             _mm256_min_epu8(high_part(t, u.part[1]), escape)}};
  }
  const __m256i most = broadcast(kPairEscape);
  const __m256i second = _mm256_min_epu8(u.part[1], most);
  const __m256i code =
      _mm256_or_si256(_mm256_min_epu8(u.part[0], most), _mm256_slli_epi16(second, 3));
  const __m256i index = lookup(t.pair_index, code);
  return {{index, index}};
}

/// Sign bits at the members of a chunk that are escapes, 32 of them.
unsigned escaped_members(const EncodeTable& t, __m256i index, std::size_t half) {
  if (t.pair == 0) return sign_bits(_mm256_cmpeq_epi8(index, broadcast(t.escape)));
  const __m256i said = lookup(half == 0 ? t.first : t.second, index);
  return sign_bits(_mm256_cmpeq_epi8(said, broadcast(kPairEscape)));
}

U8 escape_code(const EncodeTable& t, U8 value) {
  if (t.pair != 0) {
    const int d = static_cast<std::int8_t>(static_cast<U8>(value - 3));
    return static_cast<U8>(d >= 0 ? 2 * d : -2 * d - 1);
  }
  const int above = value - t.escape;
  const int below = (255 >> t.shift) - value;
  return static_cast<U8>(above <= below ? 2 * above : 2 * below + 1);
}

/// Escapes and bit planes of all chunks.
void list(const EncodeTable& t, RansEncoding& tile) {
  tile.escape_count = 0;
  for (std::size_t chunk = 0; chunk < tile.chunks; ++chunk) {
    const Bytes64 u = load_u(t, tile, chunk);
    const Bytes64 index = indices(t, u);
    for (std::size_t half = 0; half < 2; ++half) {
      unsigned escaped = escaped_members(t, index.part[half], half);
      alignas(32) U8 values[32];
      store(values, high_part(t, u.part[half]));
      for (; escaped != 0; escaped &= escaped - 1)
        tile.escapes[tile.escape_count++] = escape_code(t, values[__builtin_ctz(escaped)]);
      for (int p = 0; p < t.shift; ++p) {
        const unsigned bits = sign_bits(_mm256_sll_epi16(u.part[half], _mm_cvtsi32_si128(7 - p)));
        U8* plane = tile.planes + 8 * tile.chunks * static_cast<std::size_t>(p);
        __builtin_memcpy(plane + 8 * chunk + 4 * half, &bits, sizeof bits);
      }
    }
  }
}

__m256i widen(const U8* eight) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(eight)));
}

/// One step of eight lanes; their renormalisation bytes go in front of `at`.
inline void step(__m256i& x, __m256i freq, __m256i start, U8*& at) {
  const __m256i high = _mm256_srli_epi32(x, 8);
  const __m256i gives = _mm256_cmpgt_epi32(freq, high);  // the others do
  const auto mask = ~static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(gives))) & 255U;
  const __m256i lows =
      _mm256_shuffle_epi8(x, _mm256_setr_epi32(0x0C080400, -1, -1, -1, 0x0C080400, -1, -1, -1));
  const __m128i eight =
      _mm_unpacklo_epi32(_mm256_castsi256_si128(lows), _mm256_extracti128_si256(lows, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(at - 8),
                   _mm_shuffle_epi8(eight, shuffle_of(kLaneShuffles.compress[mask])));
  at -= ones(mask);
  x = _mm256_blendv_epi8(high, x, gives);
  const __m256i quotient =
      _mm256_cvttps_epi32(_mm256_div_ps(_mm256_cvtepi32_ps(x), _mm256_cvtepi32_ps(freq)));
  const __m256i rest = _mm256_sub_epi32(x, _mm256_mullo_epi32(quotient, freq));
  x = _mm256_add_epi32(_mm256_slli_epi32(quotient, 8), _mm256_add_epi32(rest, start));
}

template <std::size_t Groups>
void encode(const EncodeTable& t, RansEncoding& tile) {
  list(t, tile);
  alignas(32) U8 bytes[64];
  alignas(32) U8 starts[64];
  __m256i x[Groups];
  for (std::size_t i = 0; i < Groups; ++i)
    x[i] = _mm256_cvtepu16_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(tile.states + 16 * i)));
  U8* at = tile.renorm_end;
  for (std::size_t chunk = tile.chunks - tile.done; chunk-- > 0;) {
    const Bytes64 index = indices(t, load_u(t, tile, chunk));
    for (std::size_t half = 0; half < Groups / 4; ++half) {
      const __m256i freq = lookup(t.freq, index.part[half]);
      store(bytes + 32 * half, _mm256_max_epu8(freq, broadcast(1)));
      store(starts + 32 * half, lookup(t.start, index.part[half]));
    }
    for (std::size_t i = Groups; i-- > 0;)
      step(x[i], widen(bytes + 8 * i), widen(starts + 8 * i), at);
  }
  tile.renorm_bytes = static_cast<std::size_t>(tile.renorm_end - at);
  for (std::size_t i = 0; i < Groups; i += 2) {
    const __m256i both = _mm256_permute4x64_epi64(_mm256_packus_epi32(x[i], x[i + 1]), 0xD8);
    store(tile.states + 16 * i, both);
  }
}

}  // namespace

void encode_rans_avx2(const EncodeTable* table, RansEncoding* tiles, int count,
                      const Ahead& /*in*/) {
  for (int i = 0; i < count; ++i) {
    if (table->pair != 0) {
      encode<4>(*table, tiles[i]);
    } else {
      encode<8>(*table, tiles[i]);
    }
  }
}

}  // namespace pare::codec::detail
