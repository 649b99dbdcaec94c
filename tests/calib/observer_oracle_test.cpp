// Observers against the vectors of the reference implementation.
#include "calib/observers/histogram.h"
#include "quant/affine.h"
#include "support/oracle.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace pare::calib {
namespace {

using nlohmann::json;
using test::Oracle;
using test::to_floats;

/// Feeds every stored sample of a case, [T, C] or [B, T, C], to the observer.
void feed(Oracle& oracle, const json& one, Observer& observer) {
  for (int i = 0; one.at("outputs").contains(fmt::format("x{}", i)); ++i) {
    const test::NpyArray& x = oracle.array(one, fmt::format("x{}", i));
    const std::vector<float> values = to_floats(x);
    const std::int64_t channels = x.shape.back();
    observer.update({values.data(), x.numel() / channels, channels});
  }
}

float scalar(Oracle& oracle, const json& one, const char* name) {
  return to_floats(oracle.array(one, name)).at(0);
}

/// The activation parameters of a stored range are the stored ones.
void expect_stored_params(Oracle& oracle, const json& one) {
  const quant::AffineParams p =
      quant::affine_params(8, scalar(oracle, one, "min"), scalar(oracle, one, "max"), false);
  EXPECT_EQ(p.scale, scalar(oracle, one, "scale"));
  EXPECT_EQ(p.zero_point, scalar(oracle, one, "offset"));
}

bool within_one_ulp(float a, float b) { return a == b || std::nextafter(a, b) == b; }

TEST(ObserverOracle, MinMaxMeanWithinOneUlp) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  int ran = 0;
  int equal = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != "StatMinMaxObserver") continue;
    const json& params = one.at("params");
    if (params.at("method") != "mean" || !params.at("ratio").is_null()) continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const auto observer = make_minmax_observer();
    feed(oracle, one, *observer);
    const Range range = observer->range();
    const float low = scalar(oracle, one, "min");
    const float high = scalar(oracle, one, "max");
    EXPECT_TRUE(within_one_ulp(range.min, low)) << range.min << " " << low;
    EXPECT_TRUE(within_one_ulp(range.max, high)) << range.max << " " << high;
    expect_stored_params(oracle, one);
    equal += range.min == low && range.max == high ? 1 : 0;
    ++ran;
  }
  EXPECT_EQ(ran, 4);
  std::printf("min-max: %d cases, %d of them equal\n", ran, equal);
}

TEST(ObserverOracle, HistogramEqualAndRangeEqualButForNearTies) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  int ran = 0;
  int equal = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != "HistogramObserver(per_tensor_affine)") continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    HistogramObserver observer;
    feed(oracle, one, observer);
    const std::vector<float> counts = to_floats(oracle.array(one, "histogram"));
    EXPECT_TRUE(std::equal(counts.begin(), counts.end(), observer.histogram().begin()));
    EXPECT_EQ(observer.seen_range().min, scalar(oracle, one, "hist_min"));
    EXPECT_EQ(observer.seen_range().max, scalar(oracle, one, "hist_max"));
    const Range range = observer.range();
    const float low = scalar(oracle, one, "min");
    const float high = scalar(oracle, one, "max");
    // The order of an f32 sum decides where two errors are nearly the same.
    EXPECT_NEAR(range.min, low, 0.01F * (high - low));
    EXPECT_NEAR(range.max, high, 0.01F * (high - low));
    expect_stored_params(oracle, one);
    equal += range.min == low && range.max == high ? 1 : 0;
    ++ran;
  }
  EXPECT_EQ(ran, 16);
  EXPECT_GE(equal, 15);
  std::printf("histogram: %d cases, %d ranges equal\n", ran, equal);
}

}  // namespace
}  // namespace pare::calib
