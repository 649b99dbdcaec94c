// Tables: how they are chosen, stored, expanded and refused.
#include "codec/encoded.h"
#include "codec/rans/rans_table.h"
#include "codec/stream/quiet_chunks.h"
#include "codec/stream/table_choice.h"
#include "support/expect_error.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace pare::codec::detail {
namespace {

SymbolCounts counted(const std::vector<std::pair<int, std::uint64_t>>& values) {
  SymbolCounts c;
  for (const auto& [value, count] : values) {
    c.counts[static_cast<std::uint8_t>(value)] = count;
    c.total += count;
  }
  c.complete = true;
  assume_independent(c);
  return c;
}

int sum_of(const RansTable& table) {
  return std::accumulate(table.freqs.begin(), table.freqs.begin() + table.n + 1, 0);
}

TEST(CodecTable, UnitsAreLogarithms) {
  EXPECT_EQ(units_of_freq(256), 0U);
  EXPECT_EQ(units_of_freq(128), kUnitsPerBit);
  EXPECT_EQ(units_of_freq(1), 8 * kUnitsPerBit);
  for (int f = 1; f < 256; ++f) {
    EXPECT_NEAR(static_cast<double>(units_of_freq(f)), 65536 * std::log2(256.0 / f), 1.0) << f;
  }
}

// Sixteen values, each as often: 16 slots each but for the escape's none, 4 bits.
TEST(CodecTable, EvenValuesGetEvenSlots) {
  std::vector<std::pair<int, std::uint64_t>> values;
  for (int v = -8; v < 8; ++v)
    values.emplace_back(v, 1000);
  RansTable like;  // a bit plane for the low bit would be as good
  like.n = 16;
  const auto table = choose_table(counted(values), &like);
  ASSERT_TRUE(table);
  EXPECT_EQ(table->n, 16);
  EXPECT_EQ(table->base, static_cast<std::uint8_t>(-8));
  EXPECT_EQ(table->freqs[16], 0);
  EXPECT_EQ(sum_of(*table), 256);
  // Low slots are met more often than high ones (states are about as frequent as 1 / x), so the
  // even share of 16 is a little less at the start and a little more at the end.
  for (int i = 0; i < 16; ++i)
    EXPECT_NEAR(table->freqs[static_cast<std::size_t>(i)], 16, 2) << i;
}

TEST(CodecTable, SamplesKeepRoomForWhatTheyMissed) {
  SymbolCounts c = counted({{0, 100000}, {1, 50000}, {-1, 50000}});
  c.complete = false;
  const auto table = choose_table(c);
  ASSERT_TRUE(table);
  EXPECT_GE(table->freqs[static_cast<std::size_t>(table->n)], 1);
}

TEST(CodecTable, FlatOrMissingSymbolsHaveNone) {
  EXPECT_FALSE(choose_table(SymbolCounts{}));
  std::vector<std::pair<int, std::uint64_t>> values;
  for (int v = 0; v < 256; ++v)
    values.emplace_back(v, 100);
  EXPECT_FALSE(choose_table(counted(values)));
}

TEST(CodecTable, FewValuesGoInPairs) {
  const auto table = choose_table(counted({{0, 60000}, {1, 20000}, {-1, 20000}}));
  ASSERT_TRUE(table);
  EXPECT_TRUE(table->pair);
  EXPECT_EQ(table->n, 9);
}

TEST(CodecTable, WideValuesGetPlanes) {
  std::vector<std::pair<int, std::uint64_t>> values;
  for (int v = -60; v < 60; ++v)
    values.emplace_back(v, static_cast<std::uint64_t>(4000 - v * v));
  const auto table = choose_table(counted(values));
  ASSERT_TRUE(table);
  EXPECT_GE(table->shift, 1);
}

TEST(CodecTable, StoredAndParsed) {
  for (const double bits : {0.5, 1.5, 3.0, 5.0, 7.0}) {
    const test::Bytes codes = test::plain_codes(test::WeightSource::t4, bits, 20000, 3);
    const std::span symbols(reinterpret_cast<const std::uint8_t*>(codes.data()), codes.size());
    SymbolCounts counts = count_symbols(symbols, false);
    if (const auto base = base_for_pairs(counts)) count_pairs(counts, symbols, *base);
    const auto table = choose_table(counts);
    ASSERT_TRUE(table) << bits;
    EXPECT_EQ(sum_of(*table), 256);
    const RansTable again = parse_table(stored(*table));
    EXPECT_EQ(stored(again), stored(*table));
    EXPECT_EQ(again.pairs, table->pairs);
    EXPECT_EQ(again.freqs, table->freqs);
  }
}

std::string refused(const std::vector<int>& bytes) {
  test::Bytes table;
  for (const int b : bytes)
    table.push_back(static_cast<std::byte>(b));
  return PARE_ERROR_TEXT(corrupt_stream, parse_table(table));
}

TEST(CodecTable, Refused) {
  refused({});
  refused({0, 0});
  refused({0, 0, 0, 255});                // lists nothing
  refused({0, 0, 1, 255});                // no escape frequency
  refused({0, 0, 1, 255, 1, 0});          // a byte too many
  refused({0, 0, 1, 255, 2});             // 257
  refused({0, 0, 1, 255, 0});             // 255
  refused({0, 0, 2, 255, 0, 1});          // no room for a listed symbol
  refused({24, 0, 1, 255, 1});            // a form of escapes that there is not
  refused({32, 0, 1, 255, 1});            // an unknown flag
  refused({3, 0, 1, 0, 255, 1});          // pairs and planes
  refused({1, 0, 1, 64, 255, 1});         // no pair
  refused({1, 0, 1, 63, 255, 1});         // the escape's pair
  refused({1, 0, 2, 9, 9, 128, 127, 1});  // a pair twice
  std::vector<int> many = {6, 0, 33};     // shift 3 leaves 32 values
  many.insert(many.end(), 33, 7);
  many.push_back(256 - 33 * 7);
  refused(many);
  std::vector<int> more = {0, 0, 64};
  more.insert(more.end(), 65, 4);
  refused(more);
}

// n = 2: frequencies 128, 127, 1. Slots 0..127 are index 0, 128..254 index 1, 255 the escape.
TEST(CodecTable, ExpandedByHand) {
  RansTable table;
  table.pair = true;
  table.base = 0xFF;
  table.n = 2;
  table.pairs = {0 | 1 << 3, 7 | 2 << 3};
  table.freqs = {128, 127, 1};
  DecodeTable decode{};
  expand(table, decode);
  EXPECT_EQ(decode.symbol[0], 0);
  EXPECT_EQ(decode.symbol[127], 0);
  EXPECT_EQ(decode.symbol[128], 1);
  EXPECT_EQ(decode.symbol[255], 2);
  EXPECT_EQ(decode.start[2], 255);
  EXPECT_EQ(decode.entry[130], 1U | 127U << 8U | 2U << 16U);
  EXPECT_EQ(decode.first[1], 7);
  EXPECT_EQ(decode.second[1], 2);
  EXPECT_EQ(decode.first[2], 7);
  EXPECT_EQ(decode.seed_bits, 2);
  EncodeTable encode{};
  expand(table, encode);
  EXPECT_EQ(encode.pair_index[0 | 1 << 3], 0);
  EXPECT_EQ(encode.pair_index[7 | 2 << 3], 1);
  EXPECT_EQ(encode.pair_index[3 | 2 << 3], 1);  // not listed: the first member escapes
  EXPECT_EQ(encode.pair_index[7 | 7 << 3], 2);
  EXPECT_EQ(encode.pair_index[0], 2);  // nothing listed that would do: both escape
  EXPECT_EQ(encode.recip_low[0] | encode.recip_high[0] << 8, 65536 / 128);
  EXPECT_EQ(encode.recip_low[2] | encode.recip_high[2] << 8, 65535);
}

}  // namespace
}  // namespace pare::codec::detail
