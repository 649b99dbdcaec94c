// Kernels of sparse quantization against plain loops, with every instruction set this machine has.
#include "kernels/outliers.h"

#include "core/rng.h"
#include "kernels/power.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace pare::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();

void use(std::int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

/// Runs every test once per instruction set.
class OutlierKernels : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { use(GetParam()); }
  void TearDown() override { use(0); }
};

INSTANTIATE_TEST_SUITE_P(EveryIsa, OutlierKernels,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const testing::TestParamInfo<std::int64_t>& target) {
                           return std::string(hwy::TargetName(target.param));
                         });

std::vector<float> random_values(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& v : values)
    v = static_cast<float>(rng.uniform() * 2 - 1);
  return values;
}

std::int32_t bits(float x) { return std::bit_cast<std::int32_t>(x); }

struct Counted {
  MagnitudeCounts counts;
  std::vector<float> between;
};

Counted count(const std::vector<float>& x, float low, float high) {
  std::vector<std::int32_t> kept(x.size() + static_cast<std::size_t>(kMagnitudeSlack));
  Counted result;
  result.counts = count_magnitudes(x.data(), static_cast<std::int64_t>(x.size()), bits(low),
                                   bits(high), kept.data());
  for (std::int64_t i = 0; i < result.counts.between; ++i)
    result.between.push_back(std::bit_cast<float>(kept[static_cast<std::size_t>(i)]));
  return result;
}

TEST_P(OutlierKernels, CountsByHand) {
  const Counted found = count({1, -2, 3, -4, 5, 0, -3, 2, 2.5F}, 2, 4);
  EXPECT_EQ(found.counts.above, 1);    // 5
  EXPECT_EQ(found.counts.at_high, 1);  // -4
  EXPECT_EQ(found.counts.at_low, 2);   // -2, 2
  EXPECT_EQ(found.between, (std::vector<float>{3, 3, 2.5F}));
  EXPECT_TRUE(found.counts.finite);
}

TEST_P(OutlierKernels, CountsOfEveryLength) {
  for (std::size_t n = 0; n < 70; ++n) {
    const std::vector<float> x = random_values(n, n + 1);
    const Counted found = count(x, 0.25F, 0.75F);
    std::vector<float> between;
    std::int64_t above = 0;
    for (const float v : x) {
      if (std::fabs(v) > 0.75F) ++above;
      if (std::fabs(v) > 0.25F && std::fabs(v) < 0.75F) between.push_back(std::fabs(v));
    }
    EXPECT_EQ(found.counts.above, above) << n;
    EXPECT_EQ(found.between, between) << n;
  }
}

TEST_P(OutlierKernels, EqualBoundsCountOnce) {
  const Counted found = count({0, -0.0F, 1, 2, -1}, 1, 1);
  EXPECT_EQ(found.counts.above, 1);
  EXPECT_EQ(found.counts.at_high, 2);
  EXPECT_EQ(found.counts.at_low, 0);
  EXPECT_EQ(found.counts.between, 0);
  EXPECT_EQ(count({0, -0.0F, 1}, 0, 1).counts.at_low, 2) << "both zeros have the magnitude 0";
}

TEST_P(OutlierKernels, NotFiniteShowsWhereverItIs) {
  for (const float bad : {kInf, -kInf, kNan}) {
    for (std::size_t place = 0; place < 37; ++place) {
      std::vector<float> x = random_values(37, 3);
      x[place] = bad;
      EXPECT_FALSE(count(x, 0.5F, 0.6F).counts.finite) << place;
      EXPECT_FALSE(largest_magnitudes(x.data(), 37, 0.5F).finite) << place;
    }
  }
}

TEST_P(OutlierKernels, CountAboveOfEveryLength) {
  for (std::int32_t n = 0; n < 70; ++n) {
    std::vector<std::int32_t> values;
    for (std::int32_t i = 0; i < n; ++i)
      values.push_back((i + 3) % n);
    for (const std::int32_t bound : {0, 1, n / 2}) {
      EXPECT_EQ(count_above(values.data(), n, bound), std::max(0, n - 1 - bound)) << n;
    }
    EXPECT_EQ(count_above(values.data(), n, -1), n);
  }
}

TEST_P(OutlierKernels, LargestUpToALimit) {
  const std::vector<float> x = {-1, 2, -3, 4, 0.5F};
  const auto largest = [&](float limit) { return largest_magnitudes(x.data(), 5, limit); };
  EXPECT_EQ(largest(3).inlier, 3) << "the limit itself is an inlier";
  EXPECT_EQ(largest(2.9F).inlier, 2);
  EXPECT_EQ(largest(0.1F).inlier, 0);
  EXPECT_EQ(largest(kMax).inlier, 4);
  EXPECT_EQ(largest(0.1F).all, 4);
  EXPECT_EQ(largest_magnitudes(x.data(), 0, 1).all, 0);
}

TEST_P(OutlierKernels, VarianceByHandAndUnbiased) {
  // |x| = 1, 2, 3, 4: mean 2.5, squares 2.25 + 0.25 + 0.25 + 2.25 = 5, over 3.
  const std::vector<float> x = {1, -2, 3, -4};
  EXPECT_EQ(variance_of_magnitudes(x.data(), 4), 5.0 / 3);
  EXPECT_EQ(variance_of_magnitudes(x.data(), 1), 0);
  const std::vector<float> same(1000, -0.1F);
  EXPECT_EQ(variance_of_magnitudes(same.data(), 1000), 0);
}

TEST_P(OutlierKernels, SplitByHand) {
  // Limit 7, steps of 1 within and of 2 beyond; halves go to the even code.
  const SplitGrid grid{7, 1, 2, 7};
  const std::vector<float> x = {0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 7, 7.5F, 9, -11, 300, -300, 0};
  std::vector<std::int8_t> codes(x.size());
  split_codes(x.data(), x.data(), 12, grid, codes.data());
  EXPECT_EQ(codes, (std::vector<std::int8_t>{0, 2, 2, 0, -2, 7, 4, 4, -6, 127, -127, 0}));
  std::vector<float> values(x.size());
  split_values(x.data(), x.data(), 12, grid, values.data());
  EXPECT_EQ(values, (std::vector<float>{0, 2, 2, 0, -2, 7, 8, 8, -12, 254, -254, 0}));
}

TEST_P(OutlierKernels, SplitIsATrueDivision) {
  for (std::size_t n = 0; n < 40; ++n) {
    const std::vector<float> w = random_values(n, 50 + n);
    const SplitGrid grid{0.9F, 0.9F / 7, (0.9F * 127 / 7) / 127, 7};
    std::vector<std::int8_t> codes(n);
    split_codes(w.data(), w.data(), static_cast<std::int64_t>(n), grid, codes.data());
    for (std::size_t i = 0; i < n; ++i) {
      const bool outlier = std::fabs(w[i]) > grid.limit;
      const float bound = outlier ? 127.0F : 7.0F;
      const float code = std::nearbyint(w[i] / (outlier ? grid.outlier_scale : grid.inlier_scale));
      EXPECT_EQ(static_cast<float>(codes[i]), std::fmin(std::fmax(code, -bound), bound));
    }
  }
  // 45.5 / 7 is 6.5, which goes to 6; times the rounded 1/7 it would be 6.5000005, and 7.
  // 143.5 / 41 is 3.5, which goes to 4; times the rounded 1/41 it would be 3.4999998, and 3.
  const std::vector<float> x = {45.5F, 143.5F};
  std::int8_t code = 0;
  split_codes(&x[0], &x[0], 1, {1000, 7, 7, 7}, &code);
  EXPECT_EQ(code, 6);
  split_codes(&x[1], &x[1], 1, {1000, 41, 41, 7}, &code);
  EXPECT_EQ(code, 4);
}

TEST_P(OutlierKernels, PowersAreRoundedOnce) {
  const std::vector<double> exponents = {0.1, 0.5, static_cast<double>(0.7222261F), 0.9, 1.2, 10};
  for (const double exponent : exponents) {
    std::vector<float> x = random_values(1001, 9);
    x[0] = 0;
    x[1] = -0.0F;
    x[2] = std::numeric_limits<float>::denorm_min();
    x[3] = -1;
    x[4] = 1e30F;
    std::vector<float> y(x.size());
    signed_power(x.data(), 1001, exponent, y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::pow(std::fabs(static_cast<double>(x[i])), exponent);
      const float rounded = exact > static_cast<double>(kMax) ? kMax : static_cast<float>(exact);
      EXPECT_FLOAT_EQ(y[i], std::copysign(rounded, x[i])) << x[i] << " ^ " << exponent;
      EXPECT_NEAR(y[i], std::copysign(rounded, x[i]), rounded * 6e-8F);
    }
  }
  EXPECT_NEAR(power_of(2, 0.5), std::sqrt(2.0), 1e-15);
  EXPECT_EQ(power_of(1, 3), 1);
}

TEST_P(OutlierKernels, PowerErrorByHand) {
  PowerLevels levels;
  for (int j = 1; j < PowerLevels::kCount; ++j) {
    levels.starts[j] = static_cast<float>(j) - 0.5F;
    levels.values[j] = static_cast<float>(j);
  }
  // Off by 0.25, 0, 0.5 (7.5 is on level 7); 9 is above the limit.
  const std::vector<float> x = {-1.25F, 3, 7.5F, 9};
  EXPECT_EQ(power_error(x.data(), 4, 8, levels), 0.0625 + 0.25);
  EXPECT_EQ(power_error(x.data(), 4, 9, levels), 0.0625 + 0.25 + 4);
}

/// Sums and powers have the same bits with every instruction set.
TEST(OutlierKernelsTogether, SameBitsEverywhere) {
  const std::vector<float> x = random_values(1003, 77);
  PowerLevels levels;
  for (int j = 1; j < PowerLevels::kCount; ++j) {
    levels.starts[j] = 0.1F * static_cast<float>(j);
    levels.values[j] = 0.1F * static_cast<float>(j) + 0.03F;
  }
  std::vector<double> sums;
  std::vector<std::vector<float>> powers;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    use(target);
    sums.push_back(variance_of_magnitudes(x.data(), 1003));
    sums.push_back(power_error(x.data(), 1003, 0.95F, levels));
    sums.push_back(power_of(0.37, 1.7));
    powers.emplace_back(x.size());
    signed_power(x.data(), 1003, 0.73, powers.back().data());
  }
  use(0);
  for (std::size_t i = 3; i < sums.size(); ++i)
    EXPECT_EQ(sums[i], sums[i % 3]) << i;
  for (const std::vector<float>& each : powers)
    EXPECT_EQ(each, powers.front());
}

}  // namespace
}  // namespace pare::kernels
