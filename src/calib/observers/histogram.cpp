// The histogram observer: 2048 counters over the range seen so far. f32 stands wherever PyTorch
// 1.13 has f32, as the search on the result stops at the first step that loses more.
#include "calib/observers/histogram.h"

#include "calib/observers/scan.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pare::calib {
namespace {

constexpr std::int64_t kParts = kBins * kUpsample;
constexpr auto kBinsF = static_cast<float>(kBins);

// More parts than this in a bin put all old values into one bin anyway; the bound keeps the
// integer arithmetic of a merge far from its limits.
constexpr float kMostParts = 0x1p40F;

/// Counters of one sample. Positions are computed for a stretch of values at a time, in a loop that
/// vectorises; the last counter takes the values outside the bounds.
class Counters {
 public:
  Counters(float low, float high) noexcept : low_(low), high_(high), width_(high - low) {}

  void add(std::span<const float> values) noexcept {
    for (std::size_t first = 0; first < values.size(); first += kStretch) {
      add_stretch(values.subspan(first, std::min(kStretch, values.size() - first)));
    }
  }

  Histogram result() const noexcept {
    Histogram histogram;
    for (std::size_t bin = 0; bin < histogram.size(); ++bin) {
      histogram[bin] = static_cast<float>(counts_[bin]);
    }
    return histogram;
  }

 private:
  static constexpr std::size_t kStretch = 512;

  void add_stretch(std::span<const float> values) noexcept {
    std::array<std::int32_t, kStretch> bins;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float x = values[i];
      const float raw = (x - low_) / width_ * kBinsF;
      // Written so that the NaN of a width beyond f32 falls into the first bin.
      const float position = raw > 0 ? std::min(raw, kBinsF - 1.0F) : 0.0F;
      const bool inside = x >= low_ && x <= high_;
      bins[i] = inside ? static_cast<std::int32_t>(position) : static_cast<std::int32_t>(kBins);
    }
    for (std::size_t i = 0; i < values.size(); ++i)
      ++counts_[static_cast<std::size_t>(bins[i])];
  }

  float low_;
  float high_;
  float width_;
  std::array<std::int64_t, kBins + 1> counts_{};
};

}  // namespace

Histogram count_values(MatrixView<const float> x, Range sample, float low, float high) noexcept {
  low = std::trunc(low);
  high = std::trunc(high);
  if (low == high) {
    low = sample.min;
    high = sample.max;
  }
  if (low == high) {
    low -= 1.0F;
    high += 1.0F;
  }
  Counters counters(low, high);
  for (std::int64_t t = 0; t < x.rows; ++t)
    counters.add(x.row_span(t));
  return counters.result();
}

Histogram spread(const Histogram& old, std::int64_t start, std::int64_t parts_per_bin) noexcept {
  Histogram moved;
  std::int64_t next = 0;  // the first old part that is not summed yet
  double sum = 0;
  float sum_before = 0;  // rounded to f32, as the original keeps its shifted sums
  for (std::int64_t bin = 0; bin < kBins; ++bin) {
    const std::int64_t end = std::clamp<std::int64_t>((bin + 1) * parts_per_bin - start, 0, kParts);
    // One part at a time: a product could round differently from the running sum it stands for.
    for (; next < end; ++next) {
      sum += static_cast<double>(old[static_cast<std::size_t>(next / kUpsample)]);
    }
    const double inside = (sum - static_cast<double>(sum_before)) / static_cast<double>(kUpsample);
    moved[static_cast<std::size_t>(bin)] = static_cast<float>(inside);
    sum_before = static_cast<float>(sum);
  }
  return moved;
}

void HistogramObserver::update(MatrixView<const float> x) {
  if (x.rows == 0 || x.cols == 0) return;
  const Range sample = scan_range(x);
  const float part_width = (seen_range_.max - seen_range_.min) / static_cast<float>(kParts);
  if (!seen_ || !(part_width > 0) || !std::isfinite(part_width)) {
    start_over(x, sample);
  } else {
    merge(x, sample, part_width);
  }
  seen_ = true;
}

Range HistogramObserver::range() const {
  if (!seen_) return {};
  return search_range(histogram_, seen_range_.min, seen_range_.max);
}

void HistogramObserver::start_over(MatrixView<const float> x, Range sample) noexcept {
  seen_range_ = sample;
  histogram_ = count_values(x, sample, sample.min, sample.max);
}

void HistogramObserver::merge(MatrixView<const float> x, Range sample, float part_width) noexcept {
  const float low = std::min(sample.min, seen_range_.min);
  float high = std::max(sample.max, seen_range_.max);
  const float width = high - low;
  const float unit = kBinsF * part_width;
  const float parts = std::min(std::ceil(width / unit), kMostParts);
  const float start = std::min(std::nearbyint((seen_range_.min - low) / part_width),
                               kBinsF * (parts - static_cast<float>(kUpsample)));
  const float reach = high + (parts * unit - width);
  if (std::isfinite(reach)) high = reach;
  const Histogram added = count_values(x, sample, low, high);
  const bool same_range = low == seen_range_.min && high == seen_range_.max;
  const Histogram moved = same_range ? histogram_
                                     : spread(histogram_, static_cast<std::int64_t>(start),
                                              static_cast<std::int64_t>(parts));
  for (std::size_t bin = 0; bin < added.size(); ++bin)
    histogram_[bin] = added[bin] + moved[bin];
  seen_range_ = {low, high};
}

std::unique_ptr<Observer> make_histogram_observer() {
  return std::make_unique<HistogramObserver>();
}

}  // namespace pare::calib
