#include "quant/scale_of_range.h"

#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace pare::quant {
namespace {

void check_groups(std::int64_t in, std::int64_t group_size) {
  if (group_size > 0 && in % group_size == 0) return;
  std::vector<std::int64_t> fitting;
  for (const std::int64_t size : {32, 64, 128, 256}) {
    if (in % size == 0) fitting.push_back(size);
  }
  throw Error(ErrorCode::group_does_not_divide,
              fmt::format("{} input columns in groups of {}", in, group_size))
      .hint(fitting.empty() ? "none of 32, 64, 128, 256 divides them: use one scale per channel"
                            : fmt::format("sizes that divide: {}", fmt::join(fitting, ", ")));
}

/// The smallest positive (subnormal) value.
float smallest_positive(DType dtype) noexcept {
  if (dtype == DType::f16) return 0x1p-24F;
  if (dtype == DType::bf16) return 0x1p-133F;
  return 0x1p-149F;
}

AffineParams widened_params(const Scheme& scheme, float min, float max, DType dtype) {
  const AffineParams exact = affine_params(scheme.weight_bits, min, max, scheme.symmetric);
  const float scale = stored_scale(exact.scale, min, max, dtype);
  if (scheme.symmetric) return {scale, 0.0F};
  const auto lowest = static_cast<float>(scheme.qmin());
  const float zero = std::nearbyint(-std::min(min, 0.0F) / scale) + lowest;
  return {scale, std::min(zero, static_cast<float>(scheme.qmax()))};
}

AffineParams group_params(const Scheme& scheme, float min, float max, DType dtype) {
  if (scheme.symmetric) {
    const float largest = std::max(-min, max);
    return {stored_scale(largest / static_cast<float>(scheme.qmax()), min, max, dtype), 0.0F};
  }
  if (min == max) return widened_params(scheme, min, max, dtype);
  const auto steps = static_cast<float>((1 << scheme.weight_bits) - 1);
  const float scale = stored_scale((max - min) / steps, min, max, dtype);
  const float zero = -std::nearbyint(min / scale) + static_cast<float>(scheme.qmin());
  if (min <= 0 && max >= 0) return {scale, std::min(zero, static_cast<float>(scheme.qmax()))};
  if (round_through(zero, dtype) != zero) return widened_params(scheme, min, max, dtype);
  return {scale, zero};
}

}  // namespace

void check_weight(const TensorView& weight, const Scheme& scheme, DType scale_dtype) {
  if (weight.shape.rank() != 2 || !is_weight_float(weight.dtype)) {
    throw Error(ErrorCode::tensor_mismatch,
                fmt::format("a weight must be an F32, F16 or BF16 matrix, this is {} {}",
                            name_of(weight.dtype), weight.shape.text()))
        .hint("leave this tensor as it is");
  }
  const std::size_t expected = static_cast<std::size_t>(weight.numel()) * size_of(weight.dtype);
  if (weight.data.size() != expected) {
    throw Error(ErrorCode::tensor_mismatch,
                fmt::format("{} {} needs {} bytes, found {}", name_of(weight.dtype),
                            weight.shape.text(), expected, weight.data.size()))
        .hint("the file may be cut short: fetch it again");
  }
  if (!is_weight_float(scale_dtype)) {
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("scales stored as {}", name_of(scale_dtype)))
        .hint("store scales as F32, F16 or BF16");
  }
  if (scheme.granularity == Granularity::group) check_groups(weight.shape[1], scheme.group_size);
}

void check_row_finite(const TensorView& weight, std::int64_t row, std::int64_t first,
                      std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  read_floats(weight, row * weight.shape[1] + first, values);
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad == values.end()) return;
  throw Error(ErrorCode::not_finite,
              fmt::format("row {}, column {} is {}", row, first + (bad - values.begin()), *bad))
      .hint("the checkpoint is damaged here: fetch it again, or keep this layer in float");
}

float stored_scale(float scale, float min, float max, DType dtype) {
  const float stored = round_through(scale, dtype);
  if (stored == 0) return smallest_positive(dtype);
  if (std::isfinite(stored)) return stored;
  throw Error(ErrorCode::out_of_range, fmt::format("weights in [{}, {}] need the scale {}, which "
                                                   "{} cannot hold",
                                                   min, max, scale, name_of(dtype)))
      .hint("keep this layer in float, or store scales as F32");
}

AffineParams scale_of_range(const Scheme& scheme, float min, float max, DType scale_dtype) {
  if (min == 0 && max == 0) return {1.0F, 0.0F};
  if (scheme.granularity == Granularity::group) return group_params(scheme, min, max, scale_dtype);
  return widened_params(scheme, min, max, scale_dtype);
}

}  // namespace pare::quant
