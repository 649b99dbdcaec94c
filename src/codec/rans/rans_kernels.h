// The inner loops of the codec, one table of functions per instruction set. Plain C++ without the
// standard library, because files compiled for one instruction set include it. The stream is
// frozen; docs/formats/codec.md specifies it.
//
// All variants give the same bytes. Nothing here throws, allocates or checks file formats; what a
// caller must have checked, and how far reads may pass an end, is said at each function.
// "Slack": kSlack bytes after that end may be read (their values do not matter), none written.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {

inline constexpr int kChunk = 64;    // symbols per chunk
inline constexpr int kSlack = 128;   // bytes
inline constexpr int kEntries = 64;  // indices 0..n-1 and the escape index n <= 63
inline constexpr int kStateMin = 256;
inline constexpr int kMostTiles = 4;   // tiles that decode_rans takes at once
inline constexpr int kSeedPairs = 16;  // tables with n < 16 seed the lanes with two chunks
inline constexpr int kPairEscape = 7;  // u of a pair's member that is in the escape list

// Symbols and indices, for both directions. u = (symbol - base) mod 256.
//   single (pair = 0), 64 lanes: lane j of a chunk codes symbol j. hi = u >> shift; index = hi
//     when hi < n, else n (escape). The low `shift` bits of u go to bit planes.
//   pair (pair = 1, shift = 0), 32 lanes: lane j codes symbols j and j + 32 of the chunk. An index
//     stands for two values 0..7: first and second. 7 says that this member is in the escape list;
//     index n is (7, 7). Encoding looks up pair_index[min(u_j, 7) | min(u_(j+32), 7) << 3]; the
//     pair found may say 7 where u is smaller (then that member goes to the escape list too).
// Escapes are listed in order of position (0..63 within a chunk, chunks ascending), as bytes c:
//   single: hi = c even ? n + c / 2 : (255 >> shift) - c / 2   (mod 256)
//   pair:   u  = c even ? 3 + c / 2 : 2 - c / 2                (mod 256)
//   that is: value = (c even ? escape_even + (c >> 1) : escape_odd - (c >> 1)) & (255 >> shift).
//   Encoding: single: above = hi - n, below = (255 >> shift) - hi,
//                     c = above <= below ? 2 * above : 2 * below + 1;
//             pair:   d = int8(u - 3), c = d >= 0 ? 2 * d : -2 * d - 1.
//
// rANS: M = 256, states of 16 bits, at least 256, one byte of renormalisation. Decoding a lane:
//   slot = x & 255; i = index of slot; x = freq[i] * (x >> 8) + slot - start[i];
//   if (x < 256) x = x << 8 | next renorm byte.
// Vectors of 32 lanes: vector 0 (lanes 0..31) takes its renorm bytes in lane order, then vector 1.
// A tile of C chunks ends with S = min(C, n < 16 ? 2 : 1) seed chunks, and before them come `quiet`
// (0..8, at most C - S) chunks whose steps leave out the second line: nothing is read there. Then
// the states hold the indices of the seed chunks in fields of b = seed_bits bits: the last chunk's
// index is x & (2^b - 1); with S = 2, the last but one's is x >> b & (2^b - 1). Higher bits are
// any. With S = 1 and n < 16 the second field does not exist.

/// What decoding needs, expanded from a table of the stream.
struct alignas(64) DecodeTable {
  std::uint8_t symbol[256];       // slot -> index
  std::uint8_t freq[kEntries];    // 1..255 for listed ones, 0 or more for the escape; else 0
  std::uint8_t start[kEntries];   // first slot (0 where freq is 0)
  std::uint8_t first[kEntries];   // pair: value 0..7 of symbol j, 7 = escape; 7 from n on
  std::uint8_t second[kEntries];  // pair: value of symbol j + 32, likewise
  std::uint32_t entry[256];  // slot -> index | freq << 8 | (slot - start) << 16, for scalar loops
  std::uint8_t base;
  std::uint8_t shift;        // 0..3; 0 when pair
  std::uint8_t pair;         // 0 or 1
  std::uint8_t escape;       // n, 1..63
  std::uint8_t escape_form;  // 0 raw, 1 steps, 2 split
  std::uint8_t seed_bits;    // bits that n takes: 1..6
  std::uint8_t escape_even;  // see above
  std::uint8_t escape_odd;
};

/// What encoding needs. x / f = (x * recip) >> 16, plus 1 when the remainder is still >= f.
struct alignas(64) EncodeTable {
  std::uint8_t freq[kEntries];  // as in DecodeTable; 1 beyond n
  std::uint8_t start[kEntries];
  std::uint8_t recip_low[kEntries];  // recip = freq <= 1 ? 65535 : 65536 / freq
  std::uint8_t recip_high[kEntries];
  std::uint8_t pair_index[kEntries];  // pair: min(u_j, 7) | min(u_(j+32), 7) << 3 -> index
  std::uint8_t first[kEntries];       // pair: as in DecodeTable (7: the member is an escape)
  std::uint8_t second[kEntries];
  std::uint8_t base;
  std::uint8_t shift;
  std::uint8_t pair;
  std::uint8_t escape;  // n
};

/// Memory that is wanted after a call. While the loop computes a chunk of a tile, it may ask for
/// per_chunk bytes from address + tile * per_tile + chunk * per_chunk on (mostly what the same
/// chunk of the same tile of the next call needs). An address, because nothing there is read.
struct Ahead {
  std::uintptr_t address;
  std::size_t per_tile;
  std::size_t per_chunk;  // 0: nothing is wanted
};

/// One tile to decode.
struct RansTile {
  const std::uint8_t* states;  // 64 (pair: 32) little-endian u16, each >= 256; unaligned
  const std::uint8_t* renorm;  // slack after renorm + renorm_bytes
  std::size_t renorm_bytes;
  const std::uint8_t* escapes;  // as expand_escapes wrote them; 64 * chunks + slack may be read
  std::size_t escape_count;
  const std::uint8_t* planes;  // shift planes of 8 * chunks bytes, one after the other: bit i of
                               // plane p (little-endian bits) is bit p of symbol i; no slack
  std::uint8_t* out;           // 64 * chunks symbols; written exactly
  std::size_t chunks;          // >= 1
  std::size_t quiet;           // 0..8, at most chunks less seed chunks
};

/// One tile to encode.
struct RansEncoding {
  const std::uint8_t* symbols;  // 64 * chunks; no slack
  std::size_t chunks;           // 1..1024
  std::size_t done;             // 1..10: these last chunks (seeds and quiet ones) are in the states
                                // already: take no steps for them, but list their escapes and
                                // planes like all others
  std::uint8_t* states;         // 128 bytes (pair: the first 64), u16 little-endian: the states
                                // to go on from; on return the final ones
  // Results; room as said.
  std::uint8_t* renorm_end;  // renorm bytes are written backwards from here; 64 * chunks + kSlack
                             // bytes of room before it, all of which may be overwritten
  std::size_t renorm_bytes;
  std::uint8_t* escapes;  // room for 64 * chunks + kSlack; bytes c
  std::size_t escape_count;
  std::uint8_t* planes;  // shift * 8 * chunks bytes, written exactly
};

/// The functions of one instruction set.
struct CodecKernels {
  /// Decodes `count` (1..kMostTiles) tiles with one table, all with the same number of chunks; they
  /// are interleaved to hide latency. True when all tiles are sound: no more renorm bytes
  /// or escapes taken than there are, exactly all of them taken at the end, and every seed
  /// index <= n. On false the contents of `out` do not matter, but nothing beyond it was written,
  /// and nothing beyond the slack read: no chunk begins after more renorm bytes were taken than
  /// there are (a chunk takes at most 64). Any states, renorm bytes and escapes are safe; the table
  /// was checked by the caller.
  bool (*decode_rans)(const DecodeTable* table, const RansTile* tiles, int count, const Ahead& in,
                      const Ahead& out);

  /// Encodes `count` (1 or 2) tiles with one table, both with the same number of chunks; two are
  /// interleaved like those of decode_rans. When an escape is met and freq[escape] is 0, the states
  /// and renorm bytes do not matter (the caller sees escape_count > 0 and drops them), but it must
  /// not trap. At most one renorm byte is written per lane and step.
  void (*encode_rans)(const EncodeTable* table, RansEncoding* tiles, int count, const Ahead& in);

  /// The escape section to one byte per escape (hi or u, see above). `section` holds `bytes` bytes
  /// and then slack. By table->escape_form:
  ///   0 raw: the bytes c; the caller has checked bytes == count.
  ///   1 steps: ceil(3 * count / 8) bytes of fields of three bits min(c, 7), low bits first; for
  ///     every field 7 a nibble min(c - 7, 15), low first; for every nibble 15 a byte c. The caller
  ///     has checked bytes >= ceil(3 * count / 8).
  ///   2 split: ceil(count / 2) bytes of nibbles c & 15, low first; ceil(count / 4) bytes of fields
  ///     of two bits min(c >> 4, 3), low bits first; then for every field 3 a nibble c >> 4, low
  ///     first. The caller has checked bytes >= ceil(count / 2) + ceil(count / 4).
  /// False when the section does not end at exactly `bytes` (unused bits are not looked at).
  /// `out`: room for count + kSlack, all of which may be written.
  bool (*expand_escapes)(const DecodeTable* table, const std::uint8_t* section, std::size_t bytes,
                         std::size_t count, std::uint8_t* out);

  /// Bytes c to the whole section of form 1 or 2, unused bits 0. `escapes`: slack after `count`.
  /// `section`: room for 4 * count + kSlack, all of which may be written. Returns its bytes.
  std::size_t (*pack_escapes)(int form, const std::uint8_t* escapes, std::size_t count,
                              std::uint8_t* section);

  /// The fast tier. Blocks of 128 symbols in 64 bytes: byte j = nibble of symbol j | nibble of
  /// symbol 64 + j << 4. A nibble 0..7 and 9..15 is d = 0..7 and -7..-1, symbol = base + d; 8 takes
  /// the next escape byte, which is the symbol, in order of position. True when exactly
  /// escape_count were taken. `codes`: 64 * blocks bytes, no slack; `escapes`: slack; `out`:
  /// 128 * blocks, written exactly. Compare the cursor with its end before every block.
  bool (*decode_nibbles)(const std::uint8_t* codes, std::size_t blocks, std::uint8_t base,
                         const std::uint8_t* escapes, std::size_t escape_count, std::uint8_t* out);
  /// Returns the number of escapes. `symbols`: 128 * blocks, no slack; `codes`: 64 * blocks,
  /// written exactly; `escapes`: room for 128 * blocks + kSlack.
  std::size_t (*encode_nibbles)(const std::uint8_t* symbols, std::size_t blocks, std::uint8_t base,
                                std::uint8_t* codes, std::uint8_t* escapes);

  /// Elements of `size` (2 or 4) bytes, rotated left by one bit: top byte to symbols, the others
  /// (1 or 3, little-endian, element after element) to `low`. No slack anywhere, written exactly.
  void (*split_floats)(const std::uint8_t* in, std::size_t count, int size, std::uint8_t* symbols,
                       std::uint8_t* low);
  void (*merge_floats)(const std::uint8_t* symbols, const std::uint8_t* low, std::size_t count,
                       int size, std::uint8_t* out);

  /// bytes -> low nibbles (symbols[0, bytes)) and high nibbles (symbols[bytes, 2 * bytes)), and
  /// back (only the low 4 bits of each symbol are taken). No slack, written exactly.
  void (*split_nibbles)(const std::uint8_t* in, std::size_t bytes, std::uint8_t* symbols);
  void (*merge_nibbles)(const std::uint8_t* symbols, std::size_t bytes, std::uint8_t* out);
};

extern const CodecKernels kScalarKernels;  // rans_scalar.cpp, the reference

// x86 only, and not under PARE_SCALAR_ONLY; chosen in kernel_choice.cpp (the cap
// of PARE_ISA: avx2 -> kAvx2Kernels, avx512 and above -> kAvx512Vbmi2Kernels where the CPU has it).
extern const CodecKernels kAvx2Kernels;         // rans_kernels_avx2.cpp
extern const CodecKernels kAvx512Vbmi2Kernels;  // rans_kernels_avx512vbmi2.cpp: F BW VL VBMI VBMI2

}  // namespace pare::codec::detail
