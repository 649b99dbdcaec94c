#include "quant/sparse/outliers.h"

#include "kernels/power.h"
#include "pare/error.h"
#include "quant/row_blocks.h"
#include "quant/scale_of_range.h"
#include "quant/sparse/selection.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pare::quant {
namespace {

constexpr float kOutlierBound = 127;
constexpr float kNoLimit = std::numeric_limits<float>::max();

/// What a scale is made from: magnitudes of a row or of a tensor.
struct Extent {
  float inlier = 0;
  float all = 0;

  void widen(const Extent& other) noexcept {
    inlier = std::max(inlier, other.inlier);
    all = std::max(all, other.all);
  }
};

float positive(float scale) noexcept {
  return std::max(scale, std::numeric_limits<float>::denorm_min());
}

kernels::SplitGrid grid_of(float limit, const Extent& extent, int inlier_bits) noexcept {
  const auto bound = static_cast<float>((1 << (inlier_bits - 1)) - 1);
  if (extent.inlier > 0) {
    const float inlier = positive(extent.inlier / bound);
    const float outlier = ((extent.inlier * kOutlierBound) / bound) / kOutlierBound;
    const bool usable = outlier > 0 && std::isfinite(outlier);  // not at the ends of f32
    return {limit, inlier, usable ? outlier : inlier, bound};
  }
  const float scale = extent.all > 0 ? positive(extent.all / kOutlierBound) : 1.0F;
  return {limit, scale, scale, bound};
}

float in_power(float magnitude, float power) noexcept {
  if (power == 1) return magnitude;
  kernels::signed_power(&magnitude, 1, static_cast<double>(power), &magnitude);
  return magnitude;
}

Extent extent_of(const TensorView& weight, std::int64_t row, std::span<const float> values,
                 float limit) {
  const auto columns = static_cast<std::int64_t>(values.size());
  const kernels::LargestMagnitudes largest =
      kernels::largest_magnitudes(values.data(), columns, limit);
  if (!largest.finite) check_row_finite(weight, row, 0, columns);
  return {largest.inlier, largest.all};
}

Extent in_power(const Extent& extent, float power) noexcept {
  return {in_power(extent.inlier, power), in_power(extent.all, power)};
}

/// trunc(count * fraction), in double.
std::int64_t rank_of(std::int64_t count, double fraction) noexcept {
  return static_cast<std::int64_t>(static_cast<double>(count) * fraction);
}

/// The largest t with t / sd <= factor in f32: then |w| > t says the same as |w| / sd > factor.
float sigma_limit(float sd, float factor) noexcept {
  if (sd == 0) return 0;
  float limit = sd * factor;
  if (!std::isfinite(limit)) return kNoLimit;
  while (limit / sd > factor)
    limit = std::nextafter(limit, 0.0F);
  while (std::nextafter(limit, kNoLimit) > limit && std::nextafter(limit, kNoLimit) / sd <= factor)
    limit = std::nextafter(limit, kNoLimit);
  return limit;
}

float row_limit(std::span<const float> values, DType dtype, const OutlierOptions& options,
                const RowRule& rule, RowSelector& selector) {
  const auto columns = static_cast<std::int64_t>(values.size());
  if (rule.use_sigma) {
    const auto variance =
        static_cast<float>(kernels::variance_of_magnitudes(values.data(), columns));
    return sigma_limit(std::sqrt(variance), static_cast<float>(rule.sigma_factor));
  }
  const std::int64_t rank = rank_of(columns, options.fraction);
  // Selection begins by looking here and there. One pass in order has the row in the cache by then;
  // where it was widened there was one.
  if (dtype == DType::f32 && !kernels::min_max(values).finite) return kNoLimit;
  return rank == 0 ? kNoLimit : selector.kth_largest(values, std::min(rank, columns));
}

Extent extent_of_all(const std::vector<Extent>& rows) noexcept {
  Extent all;
  for (const Extent& row : rows)
    all.widen(row);
  return all;
}

/// Shows every row with the grid it has.
void visit_all(const Context& ctx, const TensorView& weight, const OutlierGrids& grids,
               const RowVisitor& visit) {
  if (!visit) return;
  for_widened_rows(ctx, weight, [&](std::int64_t row, std::span<const float> values) {
    visit(row, values, grids[static_cast<std::size_t>(row)]);
  });
}

/// What one row says: its limit, and the magnitudes its scale would be made from.
struct RowFinding {
  float limit = 0;
  Extent extent;
};

/// Grids from what `find(values, row, selector)` says of each row: its own grid, shown at once, or
/// one scale for all, shown in a second pass.
template <class Find>
OutlierGrids grids_of(const Context& ctx, const TensorView& weight, const OutlierOptions& options,
                      const RowVisitor& visit, const Find& find) {
  const std::int64_t rows = weight.shape[0];
  OutlierGrids grids(static_cast<std::size_t>(rows));
  std::vector<Extent> extents(grids.size());
  for_row_blocks(ctx, rows, weight.shape[1], [&](std::int64_t begin, std::int64_t end) {
    RowSelector selector;
    WidenedRow reader;
    for (std::int64_t row = begin; row < end; ++row) {
      const std::span<const float> values = reader.read(weight, row);
      const RowFinding found = find(values, row, selector);
      kernels::SplitGrid& grid = grids[static_cast<std::size_t>(row)];
      grid = grid_of(found.limit, found.extent, options.inlier_bits);
      extents[static_cast<std::size_t>(row)] = found.extent;
      if (options.per_channel && visit) visit(row, values, grid);
    }
  });
  if (options.per_channel) return grids;
  const Extent all = extent_of_all(extents);
  for (kernels::SplitGrid& grid : grids)
    grid = grid_of(grid.limit, all, options.inlier_bits);
  visit_all(ctx, weight, grids, visit);
  return grids;
}

}  // namespace

float tensor_limit(const Context& ctx, const TensorView& weight, double fraction) {
  const std::int64_t count = weight.numel();
  if (count == 0) return 0;
  const std::int64_t rank = rank_of(count, fraction);
  return kth_largest_magnitude(ctx, weight, std::clamp<std::int64_t>(rank, 1, count));
}

OutlierGrids tensor_outliers(const Context& ctx, const TensorView& weight,
                             const OutlierOptions& options, float power, const RowVisitor& visit) {
  const float limit = tensor_limit(ctx, weight, options.fraction);
  if (!options.per_channel && limit > 0) {
    const float end = in_power(limit, power);
    const OutlierGrids grids(static_cast<std::size_t>(weight.shape[0]),
                             grid_of(limit, {end, end}, options.inlier_bits));
    visit_all(ctx, weight, grids, visit);
    return grids;
  }
  const auto find = [&](std::span<const float> values, std::int64_t row, RowSelector&) {
    return RowFinding{limit, in_power(extent_of(weight, row, values, limit), power)};
  };
  return grids_of(ctx, weight, options, visit, find);
}

OutlierGrids row_outliers(const Context& ctx, const TensorView& weight,
                          const OutlierOptions& options, const RowRule& rule,
                          const RowVisitor& visit) {
  const auto find = [&](std::span<const float> values, std::int64_t row, RowSelector& selector) {
    const float limit = row_limit(values, weight.dtype, options, rule, selector);
    return RowFinding{limit, extent_of(weight, row, values, limit)};
  };
  return grids_of(ctx, weight, options, visit, find);
}

void write_split_codes(std::span<const float> row, const kernels::SplitGrid& grid, float power,
                       std::int8_t* codes) {
  const auto columns = static_cast<std::int64_t>(row.size());
  if (power == 1) return kernels::split_codes(row.data(), row.data(), columns, grid, codes);
  std::vector<float> powers(row.size());
  kernels::signed_power(row.data(), columns, static_cast<double>(power), powers.data());
  kernels::split_codes(powers.data(), row.data(), columns, grid, codes);
}

void write_split_values(std::span<const float> row, const kernels::SplitGrid& grid, float power,
                        float* out) {
  const auto columns = static_cast<std::int64_t>(row.size());
  if (power == 1) return kernels::split_values(row.data(), row.data(), columns, grid, out);
  kernels::signed_power(row.data(), columns, static_cast<double>(power), out);
  kernels::split_values(out, row.data(), columns, grid, out);
  kernels::signed_power(out, columns, static_cast<double>(1.0F / power), out);
}

}  // namespace pare::quant
