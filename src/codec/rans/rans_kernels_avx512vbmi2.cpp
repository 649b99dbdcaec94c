// The codec's kernels with AVX-512 VBMI2: escapes, the fast tier, and the transforms of elements.
// Bytes are gathered by compression and spread by expansion, 64 at a time.
#include "codec/rans/rans_avx512vbmi2.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {
namespace {

using U8 = std::uint8_t;

__m512i load(const void* p) { return _mm512_loadu_si512(p); }
void store(void* p, __m512i bytes) { _mm512_storeu_si512(p, bytes); }
__m512i broadcast(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
std::int64_t ones(std::uint64_t bits) { return static_cast<std::int64_t>(_mm_popcnt_u64(bits)); }

/// The lowest n bits, n of any size.
std::uint64_t first_bits(std::size_t n) { return n >= 64 ? ~0ULL : (1ULL << n) - 1; }

/// The first n of 64 bytes; nothing else is touched.
__m512i load_some(const U8* p, std::size_t n) {
  return n >= 64 ? load(p) : _mm512_maskz_loadu_epi8(first_bits(n), p);
}
void store_some(U8* p, __m512i bytes, std::size_t n) {
  if (n >= 64) return store(p, bytes);
  _mm512_mask_storeu_epi8(p, first_bits(n), bytes);
}
/// Bytes from byte `from` on, of an array of n.
__m512i load_part(const U8* p, std::size_t from, std::size_t n) {
  return from < n ? load_some(p + from, n - from) : _mm512_setzero_si512();
}
void store_part(U8* p, std::size_t from, __m512i bytes, std::size_t n) {
  if (from < n) store_some(p + from, bytes, n - from);
}

/// Places of bytes 0, 1, 2 of each 8.
constexpr std::uint64_t kThreeOfEight = 0x0707070707070707ULL;

/// Bytes first, first + step, ...
__m512i ramp(int first, int step) {
  alignas(64) U8 bytes[64];
  for (int i = 0; i < 64; ++i)
    bytes[i] = static_cast<U8>(first + i * step);
  return _mm512_load_si512(bytes);
}

// ---- escapes

/// c -> even ? escape_even + c / 2 : escape_odd - c / 2, as a byte.
__m512i unfold(__m512i c, __m512i even, __m512i odd) {
  const __m512i half = _mm512_and_si512(_mm512_srli_epi16(c, 1), broadcast(127));
  return _mm512_mask_sub_epi8(_mm512_add_epi8(even, half), _mm512_test_epi8_mask(c, broadcast(1)),
                              odd, half);
}

/// 32 bytes to 64 nibbles, low ones first.
__m512i spread_nibbles(const U8* p) {
  const __m512i wide =
      _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return _mm512_and_si512(_mm512_or_si512(wide, _mm512_slli_epi16(wide, 4)), broadcast(15));
}

/// 16 bytes to 64 fields of two bits, low ones first.
__m512i spread_fields(const U8* p) {
  const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m512i apart = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x2624222006040200),
                                                     wide);  // bits 0, 2, 4, 6 of either half
  return _mm512_and_si512(apart, broadcast(3));
}

/// 24 bytes to 64 fields of three bits, low ones first.
__m512i spread_threes(const U8* p) {
  const __m512i wide = _mm512_maskz_expand_epi8(kThreeOfEight, load(p));
  const __m512i apart =
      _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x15120F0C09060300), wide);  // bits 0, 3, ...
  return _mm512_and_si512(apart, broadcast(7));
}

/// Nibbles `taken` to `taken` + 63 of those at `nibbles`.
__m512i nibbles_from(const U8* nibbles, std::size_t taken) {
  alignas(64) U8 bytes[128];
  store(bytes, spread_nibbles(nibbles + taken / 2));
  store(bytes + 64, spread_nibbles(nibbles + taken / 2 + 32));
  return load(bytes + taken % 2);  // an odd number: the first nibble of the byte is behind us
}

/// Form 2: low nibbles, fields of two bits, and a nibble for each field that is 3. The end of what
/// was read, or nullptr when it lies beyond `end`.
const U8* read_split(const U8* section, const U8* end, std::size_t count, U8* out) {
  const U8* fields = section + (count + 1) / 2;
  const U8* extras = fields + (count + 3) / 4;
  std::size_t taken = 0;  // nibbles of extras
  for (std::size_t i = 0; i < count; i += 64) {
    if (extras + taken / 2 > end) return nullptr;
    const __m512i low = spread_nibbles(section + i / 2);
    __m512i high = spread_fields(fields + i / 4);
    const std::uint64_t full = _mm512_cmpeq_epi8_mask(high, broadcast(3)) & first_bits(count - i);
    high = _mm512_mask_expand_epi8(high, full, nibbles_from(extras, taken));
    taken += static_cast<std::size_t>(ones(full));
    store(out + i, _mm512_or_si512(low, _mm512_slli_epi16(high, 4)));
  }
  return extras + (taken + 1) / 2;
}

/// Which of the first `count` fields of three bits from number i on are 7.
std::uint64_t far_fields(__m512i fields, std::size_t count, std::size_t i) {
  return _mm512_cmpeq_epi8_mask(fields, broadcast(7)) & first_bits(count - i);
}

/// Form 1: fields of three bits, a nibble for each that is 7, a byte for each nibble that is 15.
const U8* read_steps(const U8* section, const U8* end, std::size_t count, U8* out) {
  std::int64_t far = 0;
  for (std::size_t i = 0; i < count; i += 64)
    far += ones(far_fields(spread_threes(section + 3 * i / 8), count, i));
  const U8* nibbles = section + (3 * count + 7) / 8;
  const U8* extras = nibbles + (far + 1) / 2;
  std::size_t taken = 0;  // nibbles
  for (std::size_t i = 0; i < count; i += 64) {
    if (extras > end) return nullptr;
    const __m512i near = spread_threes(section + 3 * i / 8);
    const std::uint64_t beyond = far_fields(near, count, i);
    const auto here = static_cast<std::size_t>(ones(beyond));
    const __m512i nibble = nibbles_from(nibbles, taken);
    taken += here;
    const std::uint64_t full = _mm512_cmpeq_epi8_mask(nibble, broadcast(15)) & first_bits(here);
    const __m512i c =
        _mm512_mask_expand_epi8(_mm512_add_epi8(nibble, broadcast(7)), full, load(extras));
    extras += ones(full);
    store(out + i, _mm512_mask_expand_epi8(near, beyond, c));
  }
  return extras;
}

bool expand_escapes(const DecodeTable* table, const U8* section, std::size_t bytes,
                    std::size_t count, U8* out) {
  const U8* end = section + bytes;
  const U8* codes = table->escape_form == 0 ? section : out;
  if (table->escape_form == 1 && read_steps(section, end, count, out) != end) return false;
  if (table->escape_form == 2 && read_split(section, end, count, out) != end) return false;
  const __m512i even = broadcast(table->escape_even);
  const __m512i odd = broadcast(table->escape_odd);
  const __m512i high_part = broadcast(255 >> table->shift);
  for (std::size_t i = 0; i < count; i += 64)
    store(out + i, _mm512_and_si512(unfold(load(codes + i), even, odd), high_part));
  return true;
}

/// 64 nibbles, none above 15, to 32 bytes.
__m256i pair_up(__m512i nibbles) {
  return _mm512_cvtepi16_epi8(_mm512_maddubs_epi16(nibbles, _mm512_set1_epi16(0x1001)));
}

/// 64 escapes from number i on; those beyond `count` are 0.
__m512i codes_from(const U8* escapes, std::size_t count, std::size_t i) {
  return _mm512_maskz_mov_epi8(first_bits(count - i), load(escapes + i));
}

/// `count` bytes, none above 15, to nibbles where they lie. 64 bytes after them are overwritten.
void pair_up_in_place(U8* nibbles, std::size_t count) {
  store(nibbles + count, _mm512_setzero_si512());
  for (std::size_t i = 0; i < count; i += 64) {  // what is read lies at or behind what is written
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(nibbles + i / 2), pair_up(load(nibbles + i)));
  }
}

std::size_t pack_split(const U8* escapes, std::size_t count, U8* section) {
  U8* fields = section + (count + 1) / 2;
  U8* extras = fields + (count + 3) / 4;
  for (std::size_t i = 0; i < count; i += 64) {  // runs over into the fields, which come later
    const __m512i c = codes_from(escapes, count, i);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(section + i / 2),
                        pair_up(_mm512_and_si512(c, broadcast(15))));
  }
  for (std::size_t i = 0; i < count; i += 64) {
    const __m512i c = codes_from(escapes, count, i);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(c, 4), broadcast(15));
    const __m512i two =
        _mm512_maddubs_epi16(_mm512_min_epu8(high, broadcast(3)), _mm512_set1_epi16(0x0401));
    const __m512i four = _mm512_madd_epi16(two, _mm512_set1_epi32(0x00100001));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(fields + i / 4), _mm512_cvtepi32_epi8(four));
  }
  std::size_t put = 0;  // nibbles of fields that are 3: first a byte each, then two to a byte
  for (std::size_t i = 0; i < count; i += 64) {
    const __m512i c = codes_from(escapes, count, i);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(c, 4), broadcast(15));
    const std::uint64_t far = _mm512_cmpge_epu8_mask(high, broadcast(3));
    store(extras + put, _mm512_maskz_compress_epi8(far, high));
    put += static_cast<std::size_t>(ones(far));
  }
  pair_up_in_place(extras, put);
  return static_cast<std::size_t>(extras - section) + (put + 1) / 2;
}

/// 64 bytes, none above 7, to 24.
__m512i pack_threes(__m512i fields) {
  const __m512i six = _mm512_maddubs_epi16(fields, _mm512_set1_epi16(0x0801));
  const __m512i twelve = _mm512_madd_epi16(six, _mm512_set1_epi32(0x00400001));
  const __m512i whole = _mm512_or_si512(twelve, _mm512_srli_epi64(twelve, 20));
  return _mm512_maskz_compress_epi8(kThreeOfEight, whole);
}

std::size_t pack_steps(const U8* escapes, std::size_t count, U8* section) {
  for (std::size_t i = 0; i < count; i += 64) {  // runs over into the nibbles, which come later
    const __m512i c = codes_from(escapes, count, i);
    store(section + 3 * i / 8, pack_threes(_mm512_min_epu8(c, broadcast(7))));
  }
  U8* nibbles = section + (3 * count + 7) / 8;
  std::size_t far = 0;  // first a byte each
  for (std::size_t i = 0; i < count; i += 64) {
    const __m512i c = codes_from(escapes, count, i);
    const std::uint64_t beyond = _mm512_cmpge_epu8_mask(c, broadcast(7));
    const __m512i nibble = _mm512_min_epu8(_mm512_sub_epi8(c, broadcast(7)), broadcast(15));
    store(nibbles + far, _mm512_maskz_compress_epi8(beyond, nibble));
    far += static_cast<std::size_t>(ones(beyond));
  }
  pair_up_in_place(nibbles, far);
  U8* extras = nibbles + (far + 1) / 2;
  for (std::size_t i = 0; i < count; i += 64) {
    const __m512i c = codes_from(escapes, count, i);
    const std::uint64_t full = _mm512_cmpge_epu8_mask(c, broadcast(22));
    store(extras, _mm512_maskz_compress_epi8(full, c));
    extras += ones(full);
  }
  return static_cast<std::size_t>(extras - section);
}

std::size_t pack_escapes(int form, const U8* escapes, std::size_t count, U8* section) {
  return form == 1 ? pack_steps(escapes, count, section) : pack_split(escapes, count, section);
}

// ---- the fast tier

/// base + d for each nibble, four times over: a lookup takes six bits, and two of them are not
/// ours.
__m512i nibble_symbols(U8 base) {
  const __m512i nibble = _mm512_and_si512(ramp(0, 1), broadcast(15));
  const __m512i d = _mm512_sub_epi8(_mm512_xor_si512(nibble, broadcast(8)), broadcast(8));
  return _mm512_add_epi8(d, broadcast(base));
}

bool decode_nibbles(const U8* codes, std::size_t blocks, U8 base, const U8* escapes,
                    std::size_t escape_count, U8* out) {
  const __m512i symbols = nibble_symbols(base);
  const __m512i escape = broadcast(base - 8);
  const U8* at = escapes;
  const U8* end = escapes + escape_count;
  for (std::size_t block = 0; block < blocks; ++block) {
    if (at > end) return false;
    const __m512i code = load(codes + 64 * block);
    const __m512i low = _mm512_permutexvar_epi8(code, symbols);
    const __m512i high = _mm512_permutexvar_epi8(_mm512_srli_epi16(code, 4), symbols);
    const std::uint64_t low_escaped = _mm512_cmpeq_epi8_mask(low, escape);
    const std::uint64_t high_escaped = _mm512_cmpeq_epi8_mask(high, escape);
    store(out + 128 * block, _mm512_mask_expand_epi8(low, low_escaped, load(at)));
    at += ones(low_escaped);
    store(out + 128 * block + 64, _mm512_mask_expand_epi8(high, high_escaped, load(at)));
    at += ones(high_escaped);
  }
  return at == end;
}

/// 64 symbols to nibbles; those without one go to the escapes.
__m512i to_nibbles(__m512i symbols, __m512i base, U8*& escapes) {
  const __m512i d = _mm512_sub_epi8(symbols, base);
  const std::uint64_t escaped =
      _mm512_cmpge_epu8_mask(_mm512_add_epi8(d, broadcast(7)), broadcast(15));
  store(escapes, _mm512_maskz_compress_epi8(escaped, symbols));
  escapes += ones(escaped);
  return _mm512_mask_mov_epi8(_mm512_and_si512(d, broadcast(15)), escaped, broadcast(8));
}

std::size_t encode_nibbles(const U8* symbols, std::size_t blocks, U8 base, U8* codes, U8* escapes) {
  const __m512i bases = broadcast(base);
  U8* at = escapes;
  for (std::size_t block = 0; block < blocks; ++block) {
    const __m512i low = to_nibbles(load(symbols + 128 * block), bases, at);
    const __m512i high = to_nibbles(load(symbols + 128 * block + 64), bases, at);
    store(codes + 64 * block, _mm512_or_si512(low, _mm512_slli_epi16(high, 4)));
  }
  return static_cast<std::size_t>(at - escapes);
}

// ---- transforms

void split_floats2(const U8* in, std::size_t count, U8* symbols, U8* low) {
  const __m512i even = ramp(0, 2);
  const __m512i odd = ramp(1, 2);
  for (std::size_t i = 0; i < count; i += 64) {
    __m512i a = load_part(in, 2 * i, 2 * count);
    __m512i b = load_part(in, 2 * i + 64, 2 * count);
    a = _mm512_shldi_epi16(a, a, 1);
    b = _mm512_shldi_epi16(b, b, 1);
    store_part(symbols, i, _mm512_permutex2var_epi8(a, odd, b), count);
    store_part(low, i, _mm512_permutex2var_epi8(a, even, b), count);
  }
}

void merge_floats2(const U8* symbols, const U8* low, std::size_t count, U8* out) {
  alignas(64) U8 bytes[64];  // low byte and symbol of elements 0, 1, 2, ...
  for (int i = 0; i < 64; ++i)
    bytes[i] = static_cast<U8>(i / 2 + (i % 2) * 64);
  const __m512i first = _mm512_load_si512(bytes);
  const __m512i second = _mm512_add_epi8(first, broadcast(32));
  for (std::size_t i = 0; i < count; i += 64) {
    const __m512i top = load_part(symbols, i, count);
    const __m512i bottom = load_part(low, i, count);
    const __m512i a = _mm512_permutex2var_epi8(bottom, first, top);
    const __m512i b = _mm512_permutex2var_epi8(bottom, second, top);
    store_part(out, 2 * i, _mm512_shldi_epi16(a, a, 15), 2 * count);
    store_part(out, 2 * i + 64, _mm512_shldi_epi16(b, b, 15), 2 * count);
  }
}

/// Places of bytes 0, 1, 2 of 16 elements among 4 bytes each.
constexpr std::uint64_t kThreeOfFour = 0x7777777777777777ULL;

void split_floats4(const U8* in, std::size_t count, U8* symbols, U8* low) {
  for (std::size_t i = 0; i < count; i += 16) {
    const __m512i x = _mm512_rol_epi32(load_part(in, 4 * i, 4 * count), 1);
    const std::size_t n = count - i < 16 ? count - i : 16;
    store_some(symbols + i, _mm512_zextsi128_si512(_mm512_cvtepi32_epi8(_mm512_srli_epi32(x, 24))),
               n);
    store_some(low + 3 * i, _mm512_maskz_compress_epi8(kThreeOfFour, x), 3 * n);
  }
}

void merge_floats4(const U8* symbols, const U8* low, std::size_t count, U8* out) {
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t n = count - i < 16 ? count - i : 16;
    const __m512i top = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(load_some(symbols + i, n)));
    const __m512i bottom = _mm512_maskz_expand_epi8(kThreeOfFour, load_some(low + 3 * i, 3 * n));
    const __m512i x = _mm512_or_si512(bottom, _mm512_slli_epi32(top, 24));
    store_part(out, 4 * i, _mm512_ror_epi32(x, 1), 4 * count);
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
  const __m512i nibble = broadcast(15);
  for (std::size_t i = 0; i < bytes; i += 64) {
    const __m512i x = load_part(in, i, bytes);
    store_part(symbols, i, _mm512_and_si512(x, nibble), bytes);
    store_part(symbols + bytes, i, _mm512_and_si512(_mm512_srli_epi16(x, 4), nibble), bytes);
  }
}

void merge_nibbles(const U8* symbols, std::size_t bytes, U8* out) {
  const __m512i nibble = broadcast(15);
  for (std::size_t i = 0; i < bytes; i += 64) {
    const __m512i low = load_part(symbols, i, bytes);
    const __m512i high = _mm512_slli_epi16(load_part(symbols + bytes, i, bytes), 4);
    store_part(out, i, _mm512_ternarylogic_epi64(nibble, low, high, 0xCA), bytes);
  }
}

}  // namespace

const CodecKernels kAvx512Vbmi2Kernels = {
    decode_rans_avx512vbmi2, encode_rans_avx512vbmi2, expand_escapes, pack_escapes,
    decode_nibbles,          encode_nibbles,          split_floats,   merge_floats,
    split_nibbles,           merge_nibbles,
};

}  // namespace pare::codec::detail
