// Observers against ranges and counts made with NumPy (tests/golden/generate/make_numerics.py).
#include "calib/observers/histogram.h"
#include "support/golden_bits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace pare::calib {
namespace {

using nlohmann::json;

void feed(const json& samples, Observer& observer) {
  for (const json& sample : samples) {
    const std::vector<float> values = test::floats_of(sample.at("values"));
    const json& shape = sample.at("shape");
    observer.update({values.data(), shape.at(0), shape.at(1)});
  }
}

TEST(ObserverGolden, MinMax) {
  const json golden = test::golden_numerics("observers.json");
  ASSERT_EQ(golden.at("cases").size(), 9U);
  for (const json& one : golden.at("cases")) {
    const auto observer = make_minmax_observer();
    feed(one.at("samples"), *observer);
    const std::vector<float> mean = test::floats_of(one.at("mean"));
    EXPECT_EQ(observer->range().min, mean[0]) << one.at("name");
    EXPECT_EQ(observer->range().max, mean[1]) << one.at("name");
  }
}

TEST(ObserverGolden, Histogram) {
  const json golden = test::golden_numerics("observers.json");
  for (const json& one : golden.at("cases")) {
    SCOPED_TRACE(one.at("name").get<std::string>());
    HistogramObserver observer;
    feed(one.at("samples"), observer);
    const json& expected = one.at("histogram");
    std::vector<std::int64_t> bins;
    std::vector<float> counts;
    for (std::int64_t bin = 0; bin < kBins; ++bin) {
      const float count = observer.histogram()[static_cast<std::size_t>(bin)];
      if (count != 0) bins.push_back(bin);
      if (count != 0) counts.push_back(count);
    }
    EXPECT_EQ(bins, expected.at("bins").get<std::vector<std::int64_t>>());
    EXPECT_EQ(counts, test::floats_of(expected.at("counts")));
    const std::vector<float> seen = test::floats_of(expected.at("seen"));
    EXPECT_EQ(observer.seen_range().min, seen[0]);
    EXPECT_EQ(observer.seen_range().max, seen[1]);
    const std::vector<float> range = test::floats_of(expected.at("range"));
    EXPECT_EQ(observer.range().min, range[0]);
    EXPECT_EQ(observer.range().max, range[1]);
  }
}

TEST(ObserverGolden, SearchOverAMillionValues) {
  const json golden = test::golden_numerics("observers.json");
  ASSERT_EQ(golden.at("searches").size(), 3U);
  for (const json& one : golden.at("searches")) {
    Histogram histogram;
    const std::vector<float> counts = one.at("counts").get<std::vector<float>>();
    ASSERT_EQ(counts.size(), histogram.size());
    std::copy(counts.begin(), counts.end(), histogram.begin());
    const Range range = search_range(histogram, one.at("low"), one.at("high"));
    const std::vector<float> expected = test::floats_of(one.at("range"));
    EXPECT_EQ(range.min, expected[0]);
    EXPECT_EQ(range.max, expected[1]);
  }
}

}  // namespace
}  // namespace pare::calib
