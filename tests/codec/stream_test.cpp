// The stream byte by byte, worked out by hand, and what a decoder accepts that this encoder never
// writes.
#include "codec/encoded.h"
#include "codec/stream/little_endian.h"
#include "codec/stream/tile_encoder.h"
#include "io/hash.h"
#include "pare/codec.h"
#include "support/expect_error.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace pare::codec::detail {
namespace {

using test::Bytes;

Bytes from_hex(std::string_view hex) {
  Bytes out;
  unsigned value = 0;
  int digits = 0;
  for (const char c : hex) {
    if (c == ' ') continue;
    value = value << 4U | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (++digits % 2 == 0) out.push_back(static_cast<std::byte>(value));
  }
  return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes times(std::size_t count, const Bytes& what) {
  Bytes out;
  for (std::size_t i = 0; i < count; ++i)
    out = out + what;
  return out;
}

// Single, no shift, base 0, one listed symbol (0) with 255 of the 256 slots, escapes in steps.
RansTable small_table() {
  RansTable table;
  table.n = 1;
  table.freqs[0] = 255;
  table.freqs[1] = 1;
  table.escape_form = 1;
  return table;
}

// Three chunks of zeros, with a 5 in lane 0 of the first and in lane 63 of the last.
Bytes small_tensor() {
  Bytes symbols(192, std::byte{0});
  symbols[0] = std::byte{5};
  symbols[191] = std::byte{5};
  return symbols;
}

// Two seed chunks (n < 16) in fields of one bit (n = 1), one quiet chunk before them.
//   Escapes: hi = 5, above = 5 - n = 4, below = 255 - 5 = 250, so c = 2 * 4 = 8, twice: fields
//     7, 7 (3f), then 8 - 7 = 1, 1 (11).
//   Lanes 1..62: seeds 0, 0. The smallest x with x mod 4 = 0 that steps to 256 or more: a step by
//     index 0 is (x / 255) * 256 + x mod 255, so x = 255 would do, 256 it is: 256 + 1 = 257 = 0101.
//   Lane 63: the last chunk's index is 1, so x mod 4 = 1: 257 steps to 256 + 2 = 258 = 0102.
//   Lane 0: the step is by index 1 (frequency 1, start 255): x * 256 + 255. x = 4: 1279 = 04ff.
const char* const kSmallStates = "ff04";

Bytes small_tile() {
  return from_hex("02 01 0000 0200") + from_hex(kSmallStates) + times(62, from_hex("0101")) +
         from_hex("0201") + from_hex("3f 11");
}

// The same without a quiet chunk. All lanes begin with 256 but lane 63, with 257.
//   Lane 0: 256 / 256 >= frequency 1, so the byte 00 goes out and x = 1, which steps to 511 = 01ff.
Bytes renormalised_tile() {
  return from_hex("02 00 0100 0200") + from_hex("ff01") + times(62, from_hex("0101")) +
         from_hex("0201") + from_hex("00") + from_hex("3f 11");
}

struct Stream {
  Bytes info, index;
};

// The description of 192 int8 codes in one tile, under the small table.
Stream describe(const Bytes& tile, const std::string& table_hex, std::uint64_t content_hash) {
  Stream out;
  append(out.index, 0, 4);
  append(out.index, io::xxh3(tile) & 0xFFFFFFFFU, 4);
  out.info = from_hex("50415243 0100 00 01 4938000000000000 01 00000000000000 c000000000000000");
  append(out.info, tile.size(), 8);
  out.info = out.info + from_hex("00800000 01000000 01000000 01000000") + from_hex(table_hex);
  append(out.info, content_hash, 8);
  append(out.info, io::xxh3(out.info + out.index), 8);
  return out;
}

// Length 5: flags (escapes in steps: 1 << 3), base, n, frequencies.
const char* const kSmallTable = "0500 08 00 01 ff 01";

Bytes decode(const Stream& stream, const Bytes& payload) {
  const TensorDecoder decoder(stream.info, stream.index, payload);
  Bytes out(decoder.bytes());
  decoder.decode(Context(1), out);
  return out;
}

TEST(CodecStream, EncodesWhatIsWorkedOutByHand) {
  const RansTable table = small_table();
  TileEncoder encoder;
  const Bytes symbols = small_tensor();
  const auto tile = encoder.encode(Transform::bytes, 1, {.table = &table}, symbols);
  EXPECT_EQ(Bytes(tile.begin(), tile.end()), small_tile());
  EXPECT_EQ(stored(table), from_hex(kSmallTable + 4));
}

TEST(CodecStream, DecodesWhatIsWorkedOutByHand) {
  const std::uint64_t hash = io::xxh3(small_tensor());
  for (const Bytes& tile : {small_tile(), renormalised_tile()}) {
    EXPECT_EQ(decode(describe(tile, kSmallTable, hash), tile), small_tensor());
  }
}

TEST(CodecStream, InfoIsWhatIsWorkedOutByHand) {
  const Bytes tile = small_tile();
  const Stream hand = describe(tile, kSmallTable, 0x0123456789ABCDEFU);
  StreamInfo info;
  info.dtype = DType::i8;
  info.shape = Shape{192};
  info.payload_bytes = tile.size();
  info.tables = {small_table()};
  info.content_hash = 0x0123456789ABCDEFU;
  EXPECT_EQ(write_info(info, hand.index), hand.info);
}

// Pairs: the members of a lane are 32 apart. Table: (0, 1) and (7, 2), where 7 is an escape; n = 2
// takes two bits. Two chunks, both seeds: x = 256 + i(second) + 4 * i(first). Base -1: u = symbol
// + 1.
//   Most lanes code (0, 1), symbols -1 and 0: index 0, x = 256.
//   Lane 0 of the first chunk codes (-3, 10), symbols -4 and 9: not listed, index 2, x = 264 =
//   0108.
//     d = -3 - 3 = -6, c = 2 * 6 - 1 = 11; d = 10 - 3 = 7, c = 14.
//   Lane 31 of the second codes (9, 2), symbols 8 and 1: index 1, x = 257. d = 6, c = 12.
TEST(CodecStream, PairsByHand) {
  const Bytes tile =
      from_hex("02 00 0000 0300 0801") + times(30, from_hex("0001")) + from_hex("0101 0b 0e 0c");
  const Bytes codes = from_hex("fc") + times(31, from_hex("ff")) + from_hex("09") +
                      times(31, from_hex("00")) + times(31, from_hex("ff")) + from_hex("08") +
                      times(31, from_hex("00")) + from_hex("01");
  Stream stream = describe(tile, "0800 01 ff 02 08 17 80 7f 01", io::xxh3(codes));
  stream.info[24] = std::byte{128};
  stream.info.resize(stream.info.size() - 8);
  append(stream.info, io::xxh3(stream.info + stream.index), 8);
  EXPECT_EQ(decode(stream, tile), codes);

  TileEncoder encoder;
  const RansTable table = parse_table(from_hex("01 ff 02 08 17 80 7f 01"));
  const auto encoded = encoder.encode(Transform::bytes, 1, {.table = &table}, codes);
  EXPECT_EQ(Bytes(encoded.begin(), encoded.end()), tile);
}

TEST(CodecStream, OtherKindsByHand) {
  const RansTable table = small_table();
  TileEncoder encoder;
  const auto encode = [&](const TileCoding& coding, const Bytes& bytes) {
    const auto tile = encoder.encode(Transform::bytes, 1, coding, bytes);
    return Bytes(tile.begin(), tile.end());
  };
  EXPECT_EQ(encode({.table = &table}, from_hex("0102")), from_hex("00 0102"));
  EXPECT_EQ(encode({.table = &table}, from_hex("0909")), from_hex("01 09"));
  // Base 3: codes 3 + d. 0a is d = 7, fc is d = -7 (nibble 9), fb is too far (nibble 8). The
  // second half of the block stands in the high nibbles.
  Bytes codes = from_hex("0a fc fb 04") + times(60, from_hex("03")) + from_hex("02") +
                times(63, from_hex("03"));
  EXPECT_EQ(encode({.nibble_base = 3}, codes),
            from_hex("03 03 0100 f7 09 08 01") + times(60, from_hex("00")) + from_hex("fb"));
}

// bf16 1.0 = 3f80: rotated left 7f00; -1.0 = bf80: 7f01. Exponents 7f, then low bytes 00 and 01.
TEST(CodecStream, FloatsByHand) {
  SymbolBuffer buffer;
  const Bytes floats = from_hex("803f 80bf");
  const auto symbols = buffer.split(Transform::floats, 2, floats);
  EXPECT_EQ(std::vector<int>(symbols.begin(), symbols.end()), (std::vector<int>{0x7F, 0x7F}));
  EXPECT_EQ(std::vector<int>(buffer.low().begin(), buffer.low().end()), (std::vector<int>{0, 1}));
  // f32 -1.5 = bfc00000: rotated left 7f800001, low bytes 01 00 80.
  const Bytes wide = from_hex("0000c0bf");
  EXPECT_EQ(buffer.split(Transform::floats, 4, wide)[0], 0x7F);
  EXPECT_EQ(std::vector<int>(buffer.low().begin(), buffer.low().end()),
            (std::vector<int>{1, 0, 0x80}));
}

// Low nibbles of all bytes, then high nibbles.
TEST(CodecStream, NibblesByHand) {
  SymbolBuffer buffer;
  const Bytes packed = from_hex("21 43 65");
  const auto symbols = buffer.split(Transform::nibbles, 1, packed);
  EXPECT_EQ(std::vector<int>(symbols.begin(), symbols.end()), (std::vector<int>{1, 3, 5, 2, 4, 6}));
}

// Tiles whose only fault is the one named; everything else, checksums too, is in order.
std::string refused(const Bytes& tile, const std::string& table = kSmallTable) {
  return PARE_ERROR_TEXT(corrupt_stream,
                         decode(describe(tile, table, io::xxh3(small_tensor())), tile));
}

TEST(CodecStream, RefusesRansTilesThatAlmostFit) {
  Bytes quiet = small_tile();
  quiet[1] = std::byte{2};  // more quiet chunks than there are before the seeds
  EXPECT_NE(refused(quiet).find("header"), std::string::npos);
  Bytes low = small_tile();
  low[8] = low[9] = std::byte{0};  // lane 1: state 0 would decode to zeros as well
  refused(low);
  // Raw escapes and a byte behind them.
  const std::string raw_table = "0500 00 00 01 ff 01";
  const Bytes states = from_hex(kSmallStates) + times(62, from_hex("0101")) + from_hex("0201");
  const Bytes raw = from_hex("02 01 0000 0200") + states + from_hex("0808");
  EXPECT_EQ(decode(describe(raw, raw_table, io::xxh3(small_tensor())), raw), small_tensor());
  refused(raw + from_hex("08"), raw_table);
  // Nibbles with a byte behind them; one escape too many; a renormalisation byte too many.
  refused(small_tile() + from_hex("00"));
  refused(from_hex("02 01 0000 0300") + states + from_hex("8808"));
  refused(from_hex("02 01 0100 0200") + states + from_hex("00 3f 11"));
  Bytes cut = small_tile();
  cut.pop_back();
  refused(cut);
}

TEST(CodecStream, RefusesOtherTilesThatAlmostFit) {
  const std::string raw = refused(from_hex("00") + times(191, from_hex("00")));
  EXPECT_NE(raw.find("parts"), std::string::npos) << raw;
  refused(from_hex("01 00 00"));
  refused(from_hex("04 00"));
  // Fast: 192 symbols are two blocks, the second half filled. Zeros but for two fives.
  const Bytes first = from_hex("05") + times(63, from_hex("00"));
  const Bytes second = times(63, from_hex("00")) + from_hex("05");
  const Bytes fast = from_hex("03 00 0000") + first + second;
  EXPECT_EQ(decode(describe(fast, kSmallTable, io::xxh3(small_tensor())), fast), small_tensor());
  refused(fast + from_hex("00"));
  refused(from_hex("03 00 0100") + first + second + from_hex("00"));
  refused(from_hex("03 00"));
}

TEST(CodecStream, RefusesAnotherContent) {
  const Bytes tile = small_tile();
  const Stream stream = describe(tile, kSmallTable, io::xxh3(small_tensor()) + 1);
  const std::string text = PARE_ERROR_TEXT(corrupt_stream, decode(stream, tile));
  EXPECT_NE(text.find("checksum"), std::string::npos) << text;
}

TEST(CodecStream, EscapesWithoutRoomMakeARawTile) {
  RansTable table = small_table();
  table.n = 2;
  table.freqs = {128, 128, 0};
  TileEncoder encoder;
  const Bytes symbols = small_tensor();
  const auto tile = encoder.encode(Transform::bytes, 1, {.table = &table}, symbols);
  EXPECT_EQ(Bytes(tile.begin(), tile.end()), from_hex("00") + symbols);
}

TEST(CodecStream, LaterVersionsAreNamed) {
  const Bytes tile = small_tile();
  Stream stream = describe(tile, kSmallTable, 0);
  stream.info[4] = std::byte{2};
  const std::string text =
      PARE_ERROR_TEXT(feature_not_supported, TensorDecoder(stream.info, stream.index, tile));
  EXPECT_NE(text.find("version 2"), std::string::npos) << text;
}

}  // namespace
}  // namespace pare::codec::detail
