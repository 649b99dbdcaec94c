#include "quant/distortion.h"

#include "kernels/quantize.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <vector>

namespace pare::quant {
namespace {

// Columns compared at a time: two buffers of this many f32 stay in the innermost cache.
constexpr std::int64_t kChunk = 1024;

Distortion row_distortion(const TensorView& weight, const QuantizedLinear& q, std::int64_t row) {
  std::array<float, kChunk> original;
  std::array<float, kChunk> approximation;
  const std::int64_t group_columns = q.scheme.group_columns(q.in);
  const std::size_t width = size_of(weight.dtype);
  Distortion sum;
  for (std::int64_t first = 0; first < q.in;) {
    const std::int64_t group = first / group_columns;
    const std::int64_t group_end = (group + 1) * group_columns;
    const std::int64_t count = std::min(kChunk, group_end - first);
    const std::int64_t index = row * q.in + first;
    kernels::widen_row(weight.dtype, weight.data.data() + static_cast<std::size_t>(index) * width,
                       count, original.data());
    dequantize_columns(q, row, first, count, approximation.data());
    const auto n = static_cast<std::size_t>(count);
    sum.add({original.data(), n}, {approximation.data(), n});
    first += count;
  }
  return sum;
}

void check_comparable(const TensorView& weight, const QuantizedLinear& q) {
  const bool same =
      weight.shape == Shape{q.out, q.in} && is_weight_float(weight.dtype) &&
      weight.data.size() == static_cast<std::size_t>(weight.numel()) * size_of(weight.dtype);
  if (same) return;
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("a {} weight {} was compared with codes [{}, {}]", name_of(weight.dtype),
                          weight.shape.text(), q.out, q.in))
      .hint("give the float weight the codes were made from");
}

}  // namespace

void Distortion::add(std::span<const float> original,
                     std::span<const float> approximation) noexcept {
  assert(original.size() == approximation.size());
  const auto n = static_cast<std::int64_t>(original.size());
  const kernels::RowError row = kernels::row_error(original.data(), approximation.data(), n);
  merge({row.signal, row.noise, row.max_abs, n});
}

void Distortion::merge(const Distortion& other) noexcept {
  signal += other.signal;
  noise += other.noise;
  max_abs_error = std::max(max_abs_error, other.max_abs_error);
  count += other.count;
}

double Distortion::sqnr_db() const noexcept {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  if (signal == 0) return 0;
  return 10.0 * std::log10(signal / noise);
}

Distortion weight_distortion(const Context& ctx, const TensorView& weight,
                             const QuantizedLinear& quantized) {
  check_comparable(weight, quantized);
  const std::int64_t rows_per_task =
      std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, quantized.in));
  const std::int64_t tasks = (quantized.out + rows_per_task - 1) / rows_per_task;
  std::vector<Distortion> parts(static_cast<std::size_t>(tasks));
  ctx.parallel_for(tasks, [&](std::int64_t task) {
    Distortion& part = parts[static_cast<std::size_t>(task)];
    const std::int64_t end = std::min(quantized.out, (task + 1) * rows_per_task);
    for (std::int64_t row = task * rows_per_task; row < end; ++row) {
      part.merge(row_distortion(weight, quantized, row));
    }
  });
  Distortion sum;
  for (const Distortion& part : parts)
    sum.merge(part);
  return sum;
}

}  // namespace pare::quant
