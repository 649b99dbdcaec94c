// Log-probabilities, divergences and their statistics against answers worked out by hand.
#include "eval/row_math.h"

#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace pare::eval {
namespace {

double kl(const std::vector<float>& a, const std::vector<float>& b) {
  return kl_divergence(a, row_stats(a), b, row_stats(b));
}

TEST(RowStats, NllOfAHandMadeRow) {
  // exp(0) : exp(ln 3) = 1 : 3, so p = 1/4 and 3/4.
  const std::vector<float> row = {0, std::log(3.0F)};
  const RowStats stats = row_stats(row);
  EXPECT_NEAR(stats.nll(row[0]), std::log(4.0), 1e-7);
  EXPECT_NEAR(stats.nll(row[1]), std::log(4.0 / 3.0), 1e-7);
  EXPECT_EQ(stats.argmax, 1);
}

TEST(RowStats, LargeLogitsDoNotOverflow) {
  const std::vector<float> row = {30000, 30000, -30000};
  EXPECT_NEAR(row_stats(row).nll(30000), std::log(2.0), 1e-12);
}

TEST(RowStats, TheFirstOfEqualMaximaIsNamed) {
  EXPECT_EQ(row_stats(std::vector<float>{1, 5, 5, 2}).argmax, 1);
}

TEST(RowStats, NanAndInfinityShow) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(row_stats(std::vector<float>{0, nan, 1}).nll(0)));
  EXPECT_FALSE(std::isfinite(row_stats(std::vector<float>{0, inf, 1}).nll(0)));
}

TEST(KlDivergence, OfAHandMadePair) {
  // P = (1/4, 3/4), Q = (1/2, 1/2): 1/4 ln(1/2) + 3/4 ln(3/2).
  const std::vector<float> p = {0, std::log(3.0F)};
  const std::vector<float> q = {7, 7};
  const double expected = 0.25 * std::log(0.5) + 0.75 * std::log(1.5);
  EXPECT_NEAR(kl(p, q), expected, 1e-7);
  // The other way round it is another number: 1/2 ln 2 + 1/2 ln(2/3).
  EXPECT_NEAR(kl(q, p), 0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3.0), 1e-7);
}

TEST(KlDivergence, IsExactlyZeroForEqualRows) {
  const std::vector<float> row = {0.1F, -3.7F, 12.25F, 1e-3F};
  EXPECT_EQ(kl(row, row), 0);
}

TEST(KlDivergence, IgnoresAShiftAndIsNeverNegative) {
  const std::vector<float> row = {0.5F, -3.5F, 12.25F};
  const std::vector<float> shifted = {1.5F, -2.5F, 13.25F};
  EXPECT_GE(kl(row, shifted), 0);
  EXPECT_NEAR(kl(row, shifted), 0, 1e-15);
}

TEST(MeanError, OfFourNumbers) {
  // Mean 2.5; deviations 1.5, .5, .5, 1.5: sample variance 5/3; error sqrt(5/3 / 4).
  const std::vector<double> values = {1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(mean_error(values).mean, 2.5);
  EXPECT_DOUBLE_EQ(mean_error(values).standard_error, std::sqrt(5.0 / 12.0));
}

TEST(MeanError, OfOneNumberHasNoError) {
  const std::vector<double> one = {3};
  EXPECT_EQ(mean_error(one).mean, 3);
  EXPECT_EQ(mean_error(one).standard_error, 0);
}

TEST(Quantile, InterpolatesBetweenNeighbours) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0), 1);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_DOUBLE_EQ(quantile({10, 0}, 0.99), 9.9);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.3), 7);
}

}  // namespace
}  // namespace pare::eval
