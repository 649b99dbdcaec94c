#include "quant/sparse/lowbit_fake_quantize.h"

#include "kernels/quantize.h"
#include "pare/error.h"
#include "quant/row_blocks.h"
#include "quant/scale_of_range.h"
#include "quant/sparse/outliers.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

namespace pare::quant {
namespace {

TensorView as_tensor(MatrixView<const float> weight) {
  if (weight.stride != weight.cols) {
    throw Error(ErrorCode::tensor_mismatch,
                fmt::format("rows of {} columns lie {} apart", weight.cols, weight.stride))
        .hint("give a matrix whose rows follow each other");
  }
  const std::span<const float> values(weight.data,
                                      static_cast<std::size_t>(weight.rows * weight.cols));
  return {DType::f32, {weight.rows, weight.cols}, std::as_bytes(values)};
}

float scale_of_8_bits(float largest) noexcept {
  if (largest == 0) return 1;
  return std::max(largest / 127.0F, std::numeric_limits<float>::denorm_min());
}

void recover_8_bits(const Context& ctx, const TensorView& weight, bool per_channel,
                    MatrixView<float> out) {
  std::vector<float> largest(static_cast<std::size_t>(out.rows));
  for_widened_rows(ctx, weight, [&](std::int64_t row, std::span<const float> values) {
    const kernels::MinMax range = kernels::min_max(values);
    if (!range.finite) check_row_finite(weight, row, 0, out.cols);
    largest[static_cast<std::size_t>(row)] = std::max(-range.min, range.max);
  });
  if (!per_channel && !largest.empty()) {
    largest.assign(largest.size(), *std::max_element(largest.begin(), largest.end()));
  }
  for_widened_rows(ctx, weight, [&](std::int64_t row, std::span<const float> values) {
    const float scale = scale_of_8_bits(largest[static_cast<std::size_t>(row)]);
    float* to = out.row(row);
    if (to != values.data()) std::copy(values.begin(), values.end(), to);
    kernels::fake_quantize_row(to, out.cols, scale, 0, -127, 127);
  });
}

}  // namespace

void fake_quantize_lowbit(const Context& ctx, MatrixView<const float> weight,
                          const LowbitOptions& options, MatrixView<float> out) {
  const TensorView view = as_tensor(weight);
  if (options.bits == 8) return recover_8_bits(ctx, view, options.per_channel, out);
  const OutlierOptions outliers{options.fraction, options.per_channel, options.bits};
  const auto write = [&](std::int64_t row, std::span<const float> values,
                         const kernels::SplitGrid& grid) {
    write_split_values(values, grid, 1, out.row(row));
  };
  row_outliers(ctx, view, outliers, {options.use_sigma, options.sigma_factor}, write);
}

}  // namespace pare::quant
