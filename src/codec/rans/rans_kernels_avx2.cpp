// The codec's kernels with AVX2. Transforms are plain loops, which the compiler vectorises.
#include "codec/rans/rans_avx2.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {
namespace {

using U8 = std::uint8_t;

__m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
void store(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
__m256i broadcast(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
unsigned sign_bits(__m256i bytes) { return static_cast<unsigned>(_mm256_movemask_epi8(bytes)); }

#include "codec/rans/escape_sections.inc"

// ---- the fast tier

/// Puts the next escapes where the nibble was 8.
__m256i splice(__m256i symbols, unsigned escaped, const U8*& escapes) {
  if (escaped == 0) return symbols;
  alignas(32) U8 bytes[32];
  store(bytes, symbols);
  for (; escaped != 0; escaped &= escaped - 1)
    bytes[__builtin_ctz(escaped)] = *escapes++;
  return load(bytes);
}

bool decode_nibbles(const U8* codes, std::size_t blocks, U8 base, const U8* escapes,
                    std::size_t escape_count, U8* out) {
  const __m256i nibble = broadcast(15);
  const __m256i escape = broadcast(8);
  const U8* at = escapes;
  const U8* end = escapes + escape_count;
  for (std::size_t block = 0; block < blocks; ++block) {
    if (at > end) return false;
    for (std::size_t part = 0; part < 4; ++part) {  // 32 symbols each: low, low, high, high nibbles
      const __m256i code = load(codes + 64 * block + 32 * (part % 2));
      const __m256i own = _mm256_and_si256(part < 2 ? code : _mm256_srli_epi16(code, 4), nibble);
      const __m256i d = _mm256_sub_epi8(_mm256_xor_si256(own, escape), escape);
      const unsigned escaped = sign_bits(_mm256_cmpeq_epi8(own, escape));
      store(out + 128 * block + 32 * part,
            splice(_mm256_add_epi8(d, broadcast(base)), escaped, at));
    }
  }
  return at == end;
}

std::size_t encode_nibbles(const U8* symbols, std::size_t blocks, U8 base, U8* codes, U8* escapes) {
  std::size_t count = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    const U8* in = symbols + 128 * block;
    U8* out = codes + 64 * block;
    U8 nibbles[128];
    U8 fits[128];
    for (int j = 0; j < 128; ++j) {
      const U8 d = static_cast<U8>(in[j] - base);
      fits[j] = static_cast<U8>(d + 7) < 15;
      nibbles[j] = static_cast<U8>(fits[j] != 0 ? d & 15 : 8);
    }
    for (int j = 0; j < 64; ++j)
      out[j] = static_cast<U8>(nibbles[j] | nibbles[64 + j] << 4);
    for (int j = 0; j < 128; ++j) {
      escapes[count] = in[j];
      count += fits[j] == 0;
    }
  }
  return count;
}

// ---- transforms

void split_floats2(const U8* in, std::size_t count, U8* symbols, U8* low) {
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned x = in[2 * i] | static_cast<unsigned>(in[2 * i + 1]) << 8;
    const unsigned turned = x << 1 | x >> 15;
    symbols[i] = static_cast<U8>(turned >> 8);
    low[i] = static_cast<U8>(turned);
  }
}

void merge_floats2(const U8* symbols, const U8* low, std::size_t count, U8* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned turned = low[i] | static_cast<unsigned>(symbols[i]) << 8;
    const unsigned x = turned >> 1 | turned << 15;
    out[2 * i] = static_cast<U8>(x);
    out[2 * i + 1] = static_cast<U8>(x >> 8);
  }
}

void split_floats4(const U8* in, std::size_t count, U8* symbols, U8* low) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t x;
    __builtin_memcpy(&x, in + 4 * i, sizeof x);
    x = x << 1 | x >> 31;
    symbols[i] = static_cast<U8>(x >> 24);
    low[3 * i] = static_cast<U8>(x);
    low[3 * i + 1] = static_cast<U8>(x >> 8);
    low[3 * i + 2] = static_cast<U8>(x >> 16);
  }
}

void merge_floats4(const U8* symbols, const U8* low, std::size_t count, U8* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t x = static_cast<std::uint32_t>(symbols[i]) << 24 | low[3 * i] |
                      static_cast<std::uint32_t>(low[3 * i + 1]) << 8 |
                      static_cast<std::uint32_t>(low[3 * i + 2]) << 16;
    x = x >> 1 | x << 31;
    __builtin_memcpy(out + 4 * i, &x, sizeof x);
  }
}

void split_floats(const U8* in, std::size_t count, int size, U8* symbols, U8* low) {
  if (size == 2) return split_floats2(in, count, symbols, low);
  split_floats4(in, count, symbols, low);
}

void merge_floats(const U8* symbols, const U8* low, std::size_t count, int size, U8* out) {
  if (size == 2) return merge_floats2(symbols, low, count, out);
  merge_floats4(symbols, low, count, out);
}

void split_nibbles(const U8* in, std::size_t bytes, U8* symbols) {
  for (std::size_t i = 0; i < bytes; ++i)
    symbols[i] = in[i] & 15U;
  for (std::size_t i = 0; i < bytes; ++i)
    symbols[bytes + i] = in[i] >> 4;
}

void merge_nibbles(const U8* symbols, std::size_t bytes, U8* out) {
  for (std::size_t i = 0; i < bytes; ++i)
    out[i] = static_cast<U8>((symbols[i] & 15) | symbols[bytes + i] << 4);
}

}  // namespace

const CodecKernels kAvx2Kernels = {
    decode_rans_avx2, encode_rans_avx2, expand_escapes, pack_escapes,  decode_nibbles,
    encode_nibbles,   split_floats,     merge_floats,   split_nibbles, merge_nibbles,
};

}  // namespace pare::codec::detail
