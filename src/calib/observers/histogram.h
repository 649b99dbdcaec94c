// The parts of the histogram observer, apart for its tests: counting, merging, and the search.
#pragma once

#include "calib/observer.h"
#include "pare/tensor.h"

#include <array>
#include <cstdint>

namespace pare::calib {

inline constexpr std::int64_t kBins = 2048;
inline constexpr std::int64_t kUpsample = 128;  // parts an old bin is cut into when merged

using Histogram = std::array<float, kBins>;

/// Values of x in kBins equal bins over [low, high], both first truncated toward 0 to whole
/// numbers; values outside the truncated bounds are not counted. When both bounds truncate to the
/// same number, the range of x itself is used, widened by 1 on both sides when it is a single
/// value. Shapes: x [T, C], finite, not empty; `sample` is its range.
Histogram count_values(MatrixView<const float> x, Range sample, float low, float high) noexcept;

/// `old` over a new range: every old bin is cut into kUpsample equal parts, `start` parts of the
/// new range lie before them, and `parts_per_bin` of them make a new bin.
/// Memory: constant, however much wider the new range is.
Histogram spread(const Histogram& old, std::int64_t start, std::int64_t parts_per_bin) noexcept;

/// The observer that make_histogram_observer returns.
class HistogramObserver final : public Observer {
 public:
  void update(MatrixView<const float> x) override;
  /// Cost: up to some milliseconds; ask once, not after every sample.
  Range range() const override;

  const Histogram& histogram() const noexcept { return histogram_; }
  /// The smallest value seen, and a bound a little above the largest: what the bins divide.
  Range seen_range() const noexcept { return seen_range_; }

 private:
  /// The first sample; also after samples whose range cannot be divided, such as a single value.
  void start_over(MatrixView<const float> x, Range sample) noexcept;
  /// The new range has whole multiples of the old one's parts as bins, so that old counts move
  /// without being split; it reaches up to one such multiple beyond the largest value.
  void merge(MatrixView<const float> x, Range sample, float part_width) noexcept;

  Histogram histogram_{};
  Range seen_range_;
  bool seen_ = false;
};

/// The range inside [low, high] of least squared error over 256 levels, by greedy narrowing.
Range search_range(const Histogram& histogram, float low, float high);

}  // namespace pare::calib
