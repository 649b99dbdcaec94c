// Sizes, groups and weights of a quantized linear.
#include "pare/quantized_linear.h"

#include "kernels/power.h"
#include "kernels/quantize.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

namespace pare::quant {
namespace {

/// Asks for huge pages under memory that was reserved and not touched yet: the codes of one large
/// layer are tens of thousands of small pages, and faulting them in costs more than quantizing.
void prefer_huge_pages(const void* data, std::size_t bytes) noexcept {
  constexpr std::uintptr_t kPage = 4096;
  constexpr std::size_t kWorthwhile = std::size_t{8} << 20;
  if (bytes < kWorthwhile) return;
  const auto begin = (reinterpret_cast<std::uintptr_t>(data) + kPage - 1) / kPage * kPage;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / kPage * kPage;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // a wish: may be refused
}

/// Columns of act-order: each has a group of its own.
void dequantize_scattered(const QuantizedLinear& q, std::int64_t row, std::int64_t first,
                          std::int64_t count, float* out) noexcept {
  const std::int8_t* codes = q.codes.data() + row * q.in + first;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t group = group_of(q, first + i);
    out[i] = (static_cast<float>(codes[i]) - q.zero_at(row, group)) * q.scale_at(row, group);
  }
}

}  // namespace

void describe_parts(QuantizedLinear& q) {
  q.bias_dtype.reset();
  if (q.bias.has_value()) q.bias_dtype = q.bias->dtype();
  q.has_exponent = q.exponent != 1;
  q.act_order = !q.group_index.empty();
  q.activation_dtype = q.input.has_value() ? q.input->stored_dtype : DType::f32;
  q.symmetric_input = q.input.has_value() && q.input->zero_point == 0;
}

std::string mismatch_of_parts(const QuantizedLinear& q) {
  const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const bool one_scale = q.scheme.granularity == Granularity::tensor;
  const std::size_t scales = count(one_scale ? 1 : q.out * q.scheme.groups(q.in));
  const std::size_t row_scales = count(q.scheme.form == CodeForm::two_stage ? q.out : 0);
  if (q.codes.size() != count(q.out * q.in)) return "number of codes";
  if (q.scales.size() != scales || q.zeros.size() != scales) return "number of scales";
  if (q.row_scales.size() != row_scales) return "number of scales per row";
  if (q.group_index.size() != count(q.act_order ? q.in : 0)) return "order of the columns";
  if (q.exponent != 1 && !q.has_exponent) return "exponent";
  if (q.bias.has_value() != q.bias_dtype.has_value()) return "presence of a bias";
  if (q.bias.has_value() && q.bias->dtype() != *q.bias_dtype) return "type of the bias";
  if (q.bias.has_value() && q.bias->shape() != Shape{q.out}) return "shape of the bias";
  const bool fixed = q.scheme.activations == Activations::static_tensor;
  if (q.input.has_value() != fixed) return "presence of activation parameters";
  if (q.symmetric_input && fixed && q.input->zero_point != 0) return "zero point of the input";
  return "";
}

void allocate(QuantizedLinear& q) {
  const bool one_scale = q.scheme.granularity == Granularity::tensor;
  const std::int64_t scales = one_scale ? 1 : q.out * q.scheme.groups(q.in);
  q.scales.assign(static_cast<std::size_t>(scales), 0.0F);
  q.zeros.assign(static_cast<std::size_t>(scales), 0.0F);
  q.row_scales.assign(
      q.scheme.form == CodeForm::two_stage ? static_cast<std::size_t>(q.out) : 0, 0.0F);
  const auto codes = static_cast<std::size_t>(q.out * q.in);
  q.codes.clear();
  q.codes.reserve(codes);
  prefer_huge_pages(q.codes.data(), codes);
  q.codes.resize(codes);
}

std::int64_t group_of(const QuantizedLinear& q, std::int64_t column) noexcept {
  if (q.group_index.empty()) return column / q.scheme.group_columns(q.in);
  return q.group_index[static_cast<std::size_t>(column)];
}

void drop_plain_group_index(QuantizedLinear& q) noexcept {
  const std::int64_t columns = q.scheme.group_columns(q.in);
  for (std::size_t i = 0; i < q.group_index.size(); ++i) {
    if (q.group_index[i] != static_cast<std::int64_t>(i) / columns) return;
  }
  q.group_index.clear();
}

void dequantize_columns(const QuantizedLinear& q, std::int64_t row, std::int64_t first,
                        std::int64_t count, float* out) noexcept {
  if (count == 0) return;
  if (q.group_index.empty()) {
    const std::int64_t group = first / q.scheme.group_columns(q.in);
    kernels::dequantize_row(q.codes.data() + row * q.in + first, count, q.scale_at(row, group),
                            q.zero_at(row, group), out);
  } else {
    dequantize_scattered(q, row, first, count, out);
  }
  if (!q.row_scales.empty()) {
    const float row_scale = q.row_scales[static_cast<std::size_t>(row)];
    for (std::int64_t i = 0; i < count; ++i)
      out[i] *= row_scale;
  }
  if (q.exponent != 1) kernels::signed_power(out, count, static_cast<double>(1.0F / q.exponent), out);
}

void dequantize(const Context& ctx, const QuantizedLinear& q, MatrixView<float> out) {
  const std::int64_t columns = q.scheme.group_columns(q.in);
  const std::int64_t groups = q.scheme.groups(q.in);
  const std::int64_t rows_per_task =
      std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, q.in));
  const std::int64_t tasks = (q.out + rows_per_task - 1) / rows_per_task;
  ctx.parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t end = std::min(q.out, (task + 1) * rows_per_task);
    for (std::int64_t row = task * rows_per_task; row < end; ++row) {
      for (std::int64_t g = 0; g < groups; ++g) {
        dequantize_columns(q, row, g * columns, columns, out.row(row) + g * columns);
      }
    }
  });
}

}  // namespace pare::quant
