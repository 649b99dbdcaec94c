// The range search of the histogram observer, with the error model of PyTorch's
// _non_linear_param_search: squared error when 2048 source bins become 256 levels.
#include "calib/observers/histogram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace pare::calib {
namespace {

constexpr double kLevels = 256;
constexpr double kStep = 1e-5;  // share of the values given up at one end per step

float cube(float v) noexcept { return v * v * v; }

/// The level a position falls into. The f64 quotient of two f32 numbers is on the right side of
/// every whole number, so the floor is exact.
float level_of(float position, float level_width) noexcept {
  const double level = std::floor(static_cast<double>(position) / static_cast<double>(level_width));
  return static_cast<float>(std::clamp(level, 0.0, kLevels - 1));
}

/// Sum as NumPy and PyTorch form it in f32: halves down to blocks of 128, eight lanes in a block.
float pairwise_sum(const float* values, std::size_t count) noexcept {
  if (count > 128) {
    const std::size_t half = count / 2;
    return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
  }
  std::array<float, 8> lanes{};
  for (std::size_t i = 0; i < count; i += 8) {
    for (std::size_t k = 0; k < 8; ++k)
      lanes[k] += values[i + k];
  }
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

/// Squared error of 256 levels laid over the bins first..last.
class ErrorModel {
 public:
  ErrorModel(const Histogram& histogram, float low, float high) noexcept
      : histogram_(histogram),
        bin_width_(static_cast<double>(high - low) / static_cast<double>(kBins)) {}

  float error(std::int64_t first, std::int64_t last) const noexcept {
    const double level_width = bin_width_ * static_cast<double>(last - first + 1) / kLevels;
    if (level_width == 0) return 0;
    const auto wide = static_cast<float>(level_width);
    const auto half = static_cast<float>(level_width / 2);
    const auto bin = static_cast<float>(bin_width_);
    double sum = 0;
    for (std::int64_t i = 0; i < kBins; ++i) {
      const float begin = static_cast<float>(i - first) * bin;
      sum += static_cast<double>(
          bin_error(histogram_[static_cast<std::size_t>(i)] / bin, begin, begin + bin, wide, half));
    }
    return static_cast<float>(sum);
  }

 private:
  /// A bin from `begin` to `end` with `density`: what it loses in its first level, in the levels
  /// it covers whole, and in its last.
  static float bin_error(float density, float begin, float end, float wide, float half) noexcept {
    const float first_level = level_of(begin, wide);
    const float last_level = level_of(end, wide);
    const float whole = (cube(half) - cube(-half)) / 3.0F;
    float error = density * ((cube(half) - cube(begin - (first_level + 0.5F) * wide)) / 3.0F);
    error += (last_level - first_level - 1.0F) * (density * whole);
    error += density * ((cube(end - (last_level * wide + half)) - cube(-half)) / 3.0F);
    return error;
  }

  const Histogram& histogram_;
  double bin_width_;
};

/// Running counts: how many values lie in the bins up to each.
Histogram cumulative(const Histogram& histogram) noexcept {
  Histogram sums;
  double sum = 0;
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    sum += static_cast<double>(histogram[i]);
    sums[i] = static_cast<float>(sum);
  }
  return sums;
}

struct Bins {
  std::int64_t first = 0;
  std::int64_t last = kBins - 1;

  friend bool operator==(const Bins&, const Bins&) = default;
};

}  // namespace

Range search_range(const Histogram& histogram, float low, float high) {
  if (!(low < high) || !std::isfinite(high - low)) return {low, high};
  const ErrorModel model(histogram, low, high);
  const Histogram counts = cumulative(histogram);
  const auto total = static_cast<double>(pairwise_sum(histogram.data(), histogram.size()));
  const auto count_at = [&](std::int64_t i) { return counts[static_cast<std::size_t>(i)]; };
  double below = 0;
  double above = 1;
  Bins kept;
  float least = std::numeric_limits<float>::infinity();
  while (below < above) {
    const double next_below = below + kStep;
    const double next_above = above - kStep;
    std::int64_t left = kept.first;
    std::int64_t right = kept.last;
    while (left < kept.last && count_at(left) < static_cast<float>(next_below * total))
      ++left;
    while (right > kept.first && count_at(right) > static_cast<float>(next_above * total))
      --right;
    Bins tried = kept;
    if (left - kept.first > kept.last - right) {
      tried.first = left;
      below = next_below;
    } else {
      tried.last = right;
      above = next_above;
    }
    if (tried == kept) continue;
    const float error = model.error(tried.first, tried.last);
    if (error > least) break;
    least = error;
    kept = tried;
  }
  const float bin_width = (high - low) / static_cast<float>(kBins);
  return {low + bin_width * static_cast<float>(kept.first),
          low + bin_width * static_cast<float>(kept.last + 1)};
}

}  // namespace pare::calib
