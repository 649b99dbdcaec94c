// Observers and the range score: answers worked out by hand, and samples that try to break them.
#include "calib/observer.h"

#include "calib/observers/histogram.h"
#include "core/rng.h"
#include "pare/context.h"
#include "pare/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace pare::calib {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

MatrixView<const float> matrix(const std::vector<float>& values, std::int64_t rows) {
  const auto cols = static_cast<std::int64_t>(values.size()) / rows;
  return {values.data(), rows, cols};
}

std::vector<float> uniform_values(std::size_t count, float low, float high, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& v : values)
    v = low + static_cast<float>(rng.uniform()) * (high - low);
  return values;
}

double total(const Histogram& histogram) {
  double sum = 0;
  for (const float count : histogram)
    sum += static_cast<double>(count);
  return sum;
}

TEST(MinMaxObserver, RunningMeanOfTheExtremes) {
  const auto observer = make_minmax_observer();
  observer->update(matrix({-2.1152F, 1.8530F}, 1));
  EXPECT_FLOAT_EQ(observer->range().min, -2.1152F);
  observer->update(matrix({0.0F, -4.4911F, 3.3742F, 1.0F}, 2));
  EXPECT_NEAR(observer->range().min, -3.30315, 1e-6);
  EXPECT_NEAR(observer->range().max, 2.6136, 1e-6);
  observer->update(matrix({8.2892F, -4.5214F}, 2));
  EXPECT_NEAR(observer->range().min, -3.7092333, 1e-6);
  EXPECT_NEAR(observer->range().max, 4.5054667, 1e-6);
}

TEST(MinMaxObserver, ReadsTheViewAndNothingBesideIt) {
  const std::vector<float> storage{1, 2, 99, 3, 4, -99};
  const auto observer = make_minmax_observer();
  observer->update({storage.data(), 2, 2, 3});
  EXPECT_EQ(observer->range().min, 1);
  EXPECT_EQ(observer->range().max, 4);
}

TEST(Observers, EmptySamplesChangeNothing) {
  for (const auto& make : {make_minmax_observer, make_histogram_observer}) {
    const auto observer = make();
    observer->update({nullptr, 0, 8});
    EXPECT_EQ(observer->range().min, 0);
    EXPECT_EQ(observer->range().max, 0);
    observer->update(matrix({2, 4}, 1));
    const Range before = observer->range();
    observer->update({nullptr, 0, 8});
    observer->update({nullptr, 8, 0});
    EXPECT_EQ(observer->range().min, before.min);
    EXPECT_EQ(observer->range().max, before.max);
  }
}

TEST(Observers, NotANumberIsNamed) {
  const std::vector<float> bad{1, 2, 3, 4, std::numeric_limits<float>::quiet_NaN(), 6};
  for (const auto& make : {make_minmax_observer, make_histogram_observer}) {
    const auto observer = make();
    try {
      observer->update(matrix(bad, 2));
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::not_finite);
      EXPECT_THAT(error.what(), testing::HasSubstr("token 1, channel 1"));
    }
  }
  EXPECT_THROW(RangeScore().update(matrix(bad, 2)), Error);
}

TEST(CountValues, BoundsAreTruncatedAndOutsidersDropped) {
  // [-2.5, 2.5] becomes [-2, 2]: 2048 bins of 1/512. -2.4 and 2.3 are outside.
  const std::vector<float> x{-2.4F, -2.0F, 0.0F, 1.0F / 512, 2.0F, 2.3F};
  const Histogram h = count_values(matrix(x, 2), {-2.4F, 2.3F}, -2.5F, 2.5F);
  EXPECT_EQ(total(h), 4);
  EXPECT_EQ(h[0], 1);
  EXPECT_EQ(h[1024], 1);
  EXPECT_EQ(h[1025], 1);
  EXPECT_EQ(h[2047], 1);  // the upper bound belongs to the last bin
}

TEST(CountValues, BoundsThatTruncateToOneNumberUseTheSample) {
  const std::vector<float> x{-0.5F, 0.5F};
  const Histogram h = count_values(matrix(x, 1), {-0.5F, 0.5F}, -0.9F, 0.9F);
  EXPECT_EQ(h[0], 1);
  EXPECT_EQ(h[2047], 1);
  const std::vector<float> same{0.25F, 0.25F};  // [-0.75, 1.25]: the middle bin
  EXPECT_EQ(count_values(matrix(same, 1), {0.25F, 0.25F}, 0.25F, 0.25F)[1024], 2);
}

TEST(Spread, MovesWholeCountsWithoutLoss) {
  Histogram old{};
  old[0] = 3;
  old[2047] = 5;
  // Twice as wide, the old range in the middle: an old bin is half a new one.
  const Histogram moved = spread(old, kBins * kUpsample / 2, 2 * kUpsample);
  EXPECT_EQ(moved[512], 3);
  EXPECT_EQ(moved[1535], 5);
  EXPECT_EQ(total(moved), 8);
}

TEST(Spread, SplitsABinOverTwo) {
  Histogram old{};
  old[1] = 128;
  // Twice as wide and 64 parts to the right: old parts 128..255 are new parts 192..319, of which
  // 64 lie in bin 0 and 64 in bin 1.
  const Histogram moved = spread(old, kUpsample / 2, 2 * kUpsample);
  EXPECT_EQ(moved[0], 64);
  EXPECT_EQ(moved[1], 64);
}

TEST(HistogramObserver, ConstantInput) {
  const auto observer = make_histogram_observer();
  const std::vector<float> x(12, 2.5F);
  observer->update(matrix(x, 3));
  EXPECT_EQ(observer->range().min, 2.5F);
  EXPECT_EQ(observer->range().max, 2.5F);
}

TEST(HistogramObserver, RareOutliersAreCutOff) {
  // 256 levels over [-1, 40] cost each of n values about (41 / 256)^2 / 12, together 0.00214 n;
  // cutting the outlier off costs 39^2. With n = 2,000,000 the first is the larger.
  std::vector<float> x = uniform_values(2000000, -1, 1, 3);
  x[777] = 40;
  const auto observer = make_histogram_observer();
  observer->update(matrix(x, 2));
  EXPECT_LT(observer->range().max, 2);
  EXPECT_NEAR(observer->range().min, -1, 0.05);
}

TEST(HistogramObserver, ThousandfoldRangeNeedsNoMemory) {
  HistogramObserver observer;
  const std::vector<float> narrow = uniform_values(4096, -1, 1, 1);
  const std::vector<float> wide = uniform_values(4096, -1e6F, 1e6F, 2);
  observer.update(matrix(narrow, 4));
  const std::size_t before = peak_rss_bytes();
  observer.update(matrix(wide, 4));
  EXPECT_LT(peak_rss_bytes() - before, std::size_t{16} << 20);
  // The extremes of the second sample lie outside its truncated bounds.
  EXPECT_GE(total(observer.histogram()), 4096 + 4094);
  // All old values lie within 1 of 0, so in the two bins around it.
  EXPECT_GT(observer.histogram()[1023] + observer.histogram()[1024], 4000);
}

TEST(HistogramObserver, ExtremeRangesStayFinite) {
  const std::vector<std::vector<float>> sequences[] = {
      {{0, 1e-38F}, {-kLargest, kLargest}, {0, 1}},
      {{-kLargest, kLargest}, {0, 1}},
      {{0, 1e-44F}, {0, 1}},
      {{-1, 1}, {kLargest, kLargest}},
      {{1e8F, 1e8F}, {1e8F, 1e8F + 8}},
  };
  for (const auto& samples : sequences) {
    HistogramObserver observer;
    for (const std::vector<float>& x : samples)
      observer.update(matrix(x, 1));
    EXPECT_TRUE(std::isfinite(observer.range().min));
    EXPECT_TRUE(std::isfinite(observer.range().max));
    EXPECT_LE(observer.range().min, observer.range().max);
    for (const float count : observer.histogram())
      ASSERT_GE(count, 0);
  }
}

TEST(RangeScore, ByHand) {
  // Channel 0: 1, 3 has shift 4; channel 1: -2, 0 has shift -2. X - shift = -3, 0, -1, 2 with mean
  // -0.5, squares 6.25 + 0.25 + 0.25 + 6.25 = 13, variance 13/3; the largest magnitude is 3.
  RangeScore score;
  score.update(matrix({1, -2, 3, 0}, 2));
  EXPECT_FLOAT_EQ(score.score(), static_cast<float>(3 / std::sqrt(13.0 / 3)));
}

TEST(RangeScore, KeepsTheLargestDeviationAndReach) {
  RangeScore score;
  score.update(matrix({1, -2, 3, 0}, 2));         // deviation 2.08, reach 3
  score.update(matrix({0.5F, -5, 0.5F, -5}, 2));  // X - shift: -0.5, 5, -0.5, 5; deviation 3.175
  EXPECT_FLOAT_EQ(score.score(), static_cast<float>(5 / std::sqrt(4 * 2.75 * 2.75 / 3)));
}

TEST(RangeScore, NothingSeenZerosAndSingleValues) {
  RangeScore score;
  EXPECT_EQ(score.score(), 0);
  score.update({nullptr, 0, 4});
  EXPECT_EQ(score.score(), 0);
  score.update(matrix({0, 0, 0, 0}, 2));
  EXPECT_EQ(score.score(), 0);
  score.update(matrix({7}, 1));
  EXPECT_EQ(score.score(), std::numeric_limits<float>::infinity());
}

TEST(RangeScore, MeanFarFromZeroDoesNotCancel) {
  // Two channels: c0 alternates 1e6 and 1e6 + 2, c1 the same: shift 2000002, X - shift is
  // -1000002 or -1000000, deviation 1 * sqrt(n / (n - 1)).
  std::vector<float> x;
  for (int t = 0; t < 1000; ++t)
    x.insert(x.end(), 10, t % 2 == 0 ? 1e6F : 1e6F + 2);
  RangeScore score;
  score.update(matrix(x, 1000));
  EXPECT_FLOAT_EQ(score.score(), static_cast<float>(1000002 / std::sqrt(10000.0 / 9999.0)));
}

}  // namespace
}  // namespace pare::calib
