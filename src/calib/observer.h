// Activation observers: what range of values a linear layer's input takes over the calibration
// data.
#pragma once

#include "pare/tensor.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace pare::calib {

struct Range {
  float min = 0;
  float max = 0;
};

/// Sees one sample after the other; the order of samples matters and is fixed.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Shapes: x [T, C], all values of one sample; an empty sample changes nothing.
  /// Errors: not_finite (naming token and channel) when x holds NaN or infinity.
  virtual void update(MatrixView<const float> x) = 0;
  /// 0 and 0 when nothing was seen.
  virtual Range range() const = 0;
};

/// Running arithmetic mean of the per-sample minima and maxima.
std::unique_ptr<Observer> make_minmax_observer();

/// 2048-bin running histogram with a greedy search of the range of least squared error over 256
/// levels: equal to PyTorch 1.13's HistogramObserver(bins=2048, upsample_rate=128).
std::unique_ptr<Observer> make_histogram_observer();

/// The score by which layers are ranked for staying in float, over the first samples:
/// per sample, shift = channel max + channel min; std = running max of the unbiased deviation of
/// (X - shift); score = max(|max|, |min|) over all samples / std.
/// Source: docs/formats/ascend.md, "Fallback level".
class RangeScore {
 public:
  /// Errors: not_finite (naming token and channel) when x holds NaN or infinity.
  void update(MatrixView<const float> x);
  /// 0 when nothing but zeros was seen; infinite when the deviation is 0.
  float score() const noexcept;

 private:
  float min_ = 0;
  float max_ = 0;
  float std_ = 0;
  bool seen_ = false;
};

/// Auto choice between the observers: histogram when score <= 50 (or not seen), else min-max.
inline constexpr float kAutoHistogramLimit = 50.0F;

}  // namespace pare::calib
