// Counts, shares and entropy of codes against numbers worked out by hand.
#include "pipeline/output/code_stats.h"

#include <gtest/gtest.h>

#include <vector>

namespace pare::pipeline {
namespace {

TEST(CodeStats, ByHand) {
  // Half zeros, a quarter 8, an eighth each of -8 and 7: 1.75 bits, three eighths off the grid.
  std::vector<std::int8_t> codes(800, 0);
  for (std::size_t i = 0; i < 200; ++i)
    codes[4 * i] = 8;
  for (std::size_t i = 0; i < 100; ++i)
    codes[8 * i + 1] = -8;
  for (std::size_t i = 0; i < 100; ++i)
    codes[8 * i + 2] = 7;
  const Context ctx(2);
  const CodeStats stats = code_stats(count_codes(ctx, codes));
  EXPECT_DOUBLE_EQ(stats.zeros, 0.5);
  EXPECT_DOUBLE_EQ(stats.outliers, 0.375);
  EXPECT_DOUBLE_EQ(stats.entropy_bits, 1.75);
  EXPECT_GE(stats.coded_bits, 1.75);
}

TEST(CodeStats, CountsEveryCodeOfEveryPiece) {
  std::vector<std::int8_t> codes((std::size_t{1} << 21) + 3);
  for (std::size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<std::int8_t>(i % 251);
  const CodeCounts one = count_codes(Context(1), codes);
  const CodeCounts many = count_codes(Context(3), codes);
  EXPECT_EQ(one.of, many.of);
  EXPECT_EQ(one.total(), codes.size());
  EXPECT_EQ(one.of[0], codes.size() / 251 + 1);
  EXPECT_EQ(one.of[253], 0U);
}

TEST(CodeStats, NothingIsNothing) {
  const CodeStats stats = code_stats(CodeCounts{});
  EXPECT_EQ(stats.entropy_bits, 0);
  EXPECT_EQ(CodeTotals().packed_bytes(1000), 0U);
}

TEST(CodeTotals, WeighsByTheNumberOfWeights) {
  CodeTotals totals;
  totals.add({.zeros = 1, .outliers = 0, .entropy_bits = 0, .coded_bits = 1}, 100);
  totals.add({.zeros = 0, .outliers = 0.5, .entropy_bits = 4, .coded_bits = 5}, 300);
  EXPECT_DOUBLE_EQ(totals.mean().zeros, 0.25);
  EXPECT_DOUBLE_EQ(totals.mean().outliers, 0.375);
  EXPECT_DOUBLE_EQ(totals.mean().entropy_bits, 3);
  EXPECT_EQ(totals.packed_bytes(400), 200U);
}

}  // namespace
}  // namespace pare::pipeline
