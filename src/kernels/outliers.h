// Row kernels of sparse quantization: statistics of magnitudes, and codes on a grid where outliers
// have more room than inliers. Every function gives the same bits with every instruction set.
#pragma once

#include <cstdint>

namespace pare::kernels {

/// How many magnitudes of a row lie where, seen from two bounds low <= high.
struct MagnitudeCounts {
  std::int64_t above = 0;    // > high
  std::int64_t at_high = 0;  // == high
  std::int64_t between = 0;  // low < x < high
  std::int64_t at_low = 0;   // == low, when low < high
  bool finite = true;        // false when a NaN or infinity was met
};

/// Counts |x|, and stores those strictly between the bounds in their order.
/// Magnitudes and bounds are the bits of a non-negative f32, which sort as the numbers do.
/// `between` has room for count + kMagnitudeSlack values.
constexpr std::int64_t kMagnitudeSlack = 64;
MagnitudeCounts count_magnitudes(const float* x, std::int64_t count, std::int32_t low,
                                 std::int32_t high, std::int32_t* between) noexcept;

/// How many of `values` are above `bound`; count < 2^31.
std::int64_t count_above(const std::int32_t* values, std::int64_t count,
                         std::int32_t bound) noexcept;

/// The largest |x| <= limit (0 when there is none), and the largest of all.
struct LargestMagnitudes {
  float inlier = 0;
  float all = 0;
  bool finite = true;
};
LargestMagnitudes largest_magnitudes(const float* x, std::int64_t count, float limit) noexcept;

/// Unbiased variance of |x|: sum of (|x| - mean)^2 over count - 1; 0 for fewer than two values.
/// Sums are f64 in 16 fixed parts, the mean is taken first; equal values give exactly 0.
double variance_of_magnitudes(const float* x, std::int64_t count) noexcept;

/// A row's grid: an inlier is a weight with |w| <= limit.
struct SplitGrid {
  float limit = 0;
  float inlier_scale = 1;   // > 0
  float outlier_scale = 1;  // > 0
  float inlier_bound = 7;   // largest code of an inlier; that of an outlier is 127
};

/// codes[i] = clamp(rint(values[i] / scale), -bound, bound) with the scale and bound of inliers
/// where |weights[i]| <= limit and those of outliers elsewhere. `values` may be `weights`, or a
/// monotone function of them. True division, round half to even.
void split_codes(const float* values, const float* weights, std::int64_t count,
                 const SplitGrid& grid, std::int8_t* codes) noexcept;

/// out[i] = the code of split_codes times its scale. `out` may be `values`.
void split_values(const float* values, const float* weights, std::int64_t count,
                  const SplitGrid& grid, float* out) noexcept;

}  // namespace pare::kernels
