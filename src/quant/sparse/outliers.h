// Which weights of a matrix are outliers, and the grids that inliers and outliers are rounded to:
// what the sparse methods share. docs/sparse-quantization.md has the rules.
#pragma once

#include "kernels/outliers.h"
#include "pare/context.h"
#include "pare/tensor.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace pare::quant {

/// One grid for every row [O]; with one scale for the tensor all have the same scales.
using OutlierGrids = std::vector<kernels::SplitGrid>;

/// What both ways of finding outliers are told.
struct OutlierOptions {
  double fraction = 0.01;   // of the weights, from which the limit's rank is made
  bool per_channel = true;  // a scale per row; else one for the tensor
  int inlier_bits = 4;
};

/// Is shown every row with its grid once that is known, in parallel, while the row is in the cache.
using RowVisitor = std::function<void(std::int64_t row, std::span<const float> values,
                                      const kernels::SplitGrid& grid)>;

/// Outliers of the whole tensor.
/// Math: limit = the trunc(O * I * fraction)-th largest |w| (the largest when that is 0), outliers
///       are |w| > limit; scale = a / (2^(bits-1) - 1), a = the row's largest inlier, or per tensor
///       the limit. With a power, a^power takes the place of a; the limit stays in the domain of w.
/// Deviation: where all inliers are 0, scale = largest |w| / 127 (reference: NaN); 1 for zero rows.
/// Errors: not_finite, naming row and column. Threads: rows in parallel, same result for any count.
/// Source: docs/sparse-quantization.md, "co-sparse"
OutlierGrids tensor_outliers(const Context& ctx, const TensorView& weight,
                             const OutlierOptions& options, float power = 1,
                             const RowVisitor& visit = nullptr);

/// The limit that tensor_outliers uses.
float tensor_limit(const Context& ctx, const TensorView& weight, double fraction);

/// Outliers of each row.
/// Math: without sigma, limit = the trunc(I * fraction)-th largest |w| of the row (none when that
/// is
///       0); with sigma, outliers are |w| / sd > sigma_factor in f32, sd the root of the unbiased
///       variance of |w|. scale = a / (2^(bits-1) - 1), a = the largest inlier of row or tensor.
/// Deviation: as above, also for rows that are constant under sigma (sd = 0, every weight is an
///       outlier), where the reference keeps the scale 0.
/// Errors, threads: as above. Source: docs/sparse-quantization.md, "lowbit"
struct RowRule {
  bool use_sigma = false;
  double sigma_factor = 3;
};
OutlierGrids row_outliers(const Context& ctx, const TensorView& weight,
                          const OutlierOptions& options, const RowRule& rule,
                          const RowVisitor& visit = nullptr);

/// Codes of a row on its grid; with a power, of sign(w) |w|^power.
void write_split_codes(std::span<const float> row, const kernels::SplitGrid& grid, float power,
                       std::int8_t* codes);

/// The values the codes stand for, each code times the scale it was rounded with; with a power
/// back in the domain of w. Outliers may differ from code * inlier scale in the last bit.
/// `out` may be the row itself when the power is 1.
void write_split_values(std::span<const float> row, const kernels::SplitGrid& grid, float power,
                        float* out);

}  // namespace pare::quant
