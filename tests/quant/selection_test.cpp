// The k-th largest magnitude against sorting, on weights that mislead a sample.
#include "quant/sparse/selection.h"

#include "core/rng.h"
#include "pare/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace pare::quant {
namespace {

std::vector<float> sorted_magnitudes(std::vector<float> values) {
  for (float& v : values)
    v = std::fabs(v);
  std::sort(values.begin(), values.end(), std::greater<>());
  return values;
}

/// Every rank that matters, of the tensor and, as one row, of the row.
void expect_all_ranks(const std::vector<float>& values, std::int64_t columns) {
  const auto count = static_cast<std::int64_t>(values.size());
  const Tensor weight = store_floats(values, DType::f32, {count / columns, columns});
  const std::vector<float> sorted = sorted_magnitudes(values);
  const Context ctx(3);
  RowSelector selector;
  for (const std::int64_t k : {std::int64_t{1}, std::int64_t{2}, count / 100, count / 20,
                               count / 10, count / 2, count - 1, count}) {
    if (k < 1) continue;
    const float expected = sorted[static_cast<std::size_t>(k - 1)];
    EXPECT_EQ(kth_largest_magnitude(ctx, weight.view(), k), expected) << k;
    EXPECT_EQ(selector.kth_largest(values, k), expected) << k;
  }
}

std::vector<float> gaussian(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& v : values) {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += rng.uniform();
    v = static_cast<float>(sum);
  }
  return values;
}

TEST(Selection, RandomWeights) {
  expect_all_ranks(gaussian(6, 1), 3);
  expect_all_ranks(gaussian(300 * 512, 2), 512);
}

TEST(Selection, ManyEqual) {
  std::vector<float> values = gaussian(100 * 512, 3);
  for (float& v : values)
    v = std::nearbyint(v * 2);
  expect_all_ranks(values, 512);
  expect_all_ranks(std::vector<float>(5000, -0.25F), 500);
  expect_all_ranks(std::vector<float>(5000, 0.0F), 500);
}

/// Wherever the sample looks it finds zeros, or only the few large ones: bisection has to do it.
TEST(Selection, ASampleThatMisleads) {
  std::vector<float> values(200 * 4096, 0.0F);
  for (std::size_t i = 0; i < 40; ++i)
    values[i * 7919] = static_cast<float>(i + 1);
  expect_all_ranks(values, 4096);
  std::vector<float> rising(200 * 512);
  for (std::size_t i = 0; i < rising.size(); ++i)
    rising[i] =
        std::ldexp(1.0F + static_cast<float>(i % 997) / 997, static_cast<int>(i / 512) - 100);
  expect_all_ranks(rising, 512);
}

TEST(Selection, SubnormalAndLargest) {
  std::vector<float> values = gaussian(3000, 5);
  values[17] = std::numeric_limits<float>::max();
  for (std::size_t i = 100; i < 200; ++i)
    values[i] = std::numeric_limits<float>::denorm_min() * static_cast<float>(i);
  expect_all_ranks(values, 100);
}

TEST(Selection, NotFiniteNamesItsPlace) {
  const Context ctx(2);
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values = gaussian(64 * 32, 6);
    values[50 * 32 + 7] = bad;
    const Tensor weight = store_floats(values, DType::f32, {64, 32});
    try {
      kth_largest_magnitude(ctx, weight.view(), 20);
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::not_finite);
      EXPECT_THAT(error.what(), testing::HasSubstr("row 50, column 7"));
    }
    values.assign(values.size(), bad);  // every place the sample looks at
    EXPECT_THROW(kth_largest_magnitude(ctx, store_floats(values, DType::f32, {64, 32}).view(), 20),
                 Error);
  }
}

}  // namespace
}  // namespace pare::quant
