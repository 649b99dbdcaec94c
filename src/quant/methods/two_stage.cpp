// 4-bit weights with two stages of scales: rows are rounded to integers in -119..119, and groups of
// those integers to 4 bits with a whole-number scale. An engine multiplies groups up to int8
// without leaving integers, and applies one float scale per row.
#include "kernels/quantize.h"
#include "pare/error.h"
#include "quant/method.h"
#include "quant/row_blocks.h"
#include "quant/scale_of_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace pare::quant {
namespace {

constexpr int kFirstBound = 119;  // (7 + 1/2) whole steps of 15 and more stay within int8

std::string_view refuses(const Scheme& scheme) noexcept {
  if (scheme.form != CodeForm::two_stage) return "it makes two stages of scales only: w4a8-dynamic";
  if (scheme.granularity != Granularity::group || scheme.group_size < 1) {
    return "the second stage has a scale per group: give a group size";
  }
  return "";
}

/// The largest |w| becomes 119; 1 for a zero row.
float row_scale(const kernels::MinMax& range, DType dtype) {
  const float largest = std::max(-range.min, range.max);
  if (largest == 0) return 1;
  return stored_scale(largest / static_cast<float>(kFirstBound), range.min, range.max, dtype);
}

/// Scale and zero point of a group of integers in [min, max].
/// Deviation: a group of zeros has zero point 0, where the reference stores -8 for 0.
AffineParams group_params(const Scheme& scheme, float min, float max) noexcept {
  if (scheme.symmetric) {
    return {std::nearbyint(std::max(std::max(-min, max) / 7.0F, 1.0F)), 0.0F};
  }
  const float scale = std::nearbyint(std::max((max - min) / 15.0F, 1.0F));
  if (min == 0 && max == 0) return {scale, 0.0F};
  return {scale, -std::nearbyint(min / scale) - 8.0F};
}

/// Memory of one thread.
struct RowBuffers {
  std::vector<std::int8_t> integers;
  std::vector<float> values;
};

void quantize_row(const TensorView& weight, std::int64_t row, RowBuffers& buffers,
                  QuantizedLinear& q) {
  const std::int64_t n = q.scheme.group_size;
  const std::byte* bytes =
      weight.data.data() + static_cast<std::size_t>(row * q.in) * size_of(weight.dtype);
  const kernels::MinMax range = kernels::min_max_bytes(weight.dtype, bytes, q.in);
  if (!range.finite) check_row_finite(weight, row, 0, q.in);
  const float first = row_scale(range, q.scale_dtype);
  q.row_scales[static_cast<std::size_t>(row)] = first;
  kernels::quantize_row(weight.dtype, bytes, q.in, first, 0, -kFirstBound, kFirstBound,
                        buffers.integers.data());
  kernels::dequantize_row(buffers.integers.data(), q.in, 1, 0, buffers.values.data());
  for (std::int64_t g = 0; g < q.scheme.groups(q.in); ++g) {
    const float* group = buffers.values.data() + g * n;
    const kernels::MinMax ends = kernels::min_max({group, static_cast<std::size_t>(n)});
    const AffineParams p = group_params(q.scheme, ends.min, ends.max);
    q.scales[q.scale_index(row, g)] = p.scale;
    q.zeros[q.scale_index(row, g)] = p.zero_point;
    kernels::quantize_row(DType::f32, reinterpret_cast<const std::byte*>(group), n, p.scale,
                          p.zero_point, lowest_code(q.scheme), q.scheme.qmax(),
                          q.codes.data() + row * q.in + g * n);
  }
}

QuantizedLinear quantize(const Context& ctx, const MethodInput& input) {
  const auto& [weight, scheme, scale_dtype, params, stats] = input;
  const std::string_view reason = refuses(scheme);
  if (!reason.empty()) {
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("two-stage cannot do {}: {}", scheme.text(), reason));
  }
  check_weight(weight, scheme, scale_dtype);
  QuantizedLinear q;
  q.scheme = scheme;
  q.out = weight.shape[0];
  q.in = weight.shape[1];
  q.scale_dtype = scale_dtype;
  allocate(q);
  for_row_blocks(ctx, q.out, q.in, [&](std::int64_t begin, std::int64_t end) {
    RowBuffers buffers;
    buffers.integers.resize(static_cast<std::size_t>(q.in));
    buffers.values.resize(static_cast<std::size_t>(q.in));
    for (std::int64_t row = begin; row < end; ++row)
      quantize_row(weight, row, buffers, q);
  });
  return q;
}

}  // namespace

extern const Method two_stage_method;
constinit const Method two_stage_method = {
    .id = "two-stage",
    .summary = "int8 rows, then 4-bit groups of those integers with whole-number scales",
    .source = "docs/sparse-quantization.md, two-stage; Lin et al., arXiv:2405.04532 (the idea)",
    .params = {},
    .refuses = refuses,
    .quantize = quantize,
    .may_clip = true,
};

}  // namespace pare::quant
