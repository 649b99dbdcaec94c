#include "quant/uniform/uniform.h"

#include "kernels/quantize.h"
#include "pare/error.h"
#include "quant/row_blocks.h"
#include "quant/scale_of_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace pare::quant {
namespace {

/// A weight, and where its codes go.
struct Work {
  const TensorView& weight;
  QuantizedLinear& result;
  const ParamsOfRange& params;

  const std::byte* bytes_at(std::int64_t row, std::int64_t column) const noexcept {
    const std::int64_t index = row * result.in + column;
    return weight.data.data() + static_cast<std::size_t>(index) * size_of(weight.dtype);
  }

  kernels::MinMax range(std::int64_t row, std::int64_t column, std::int64_t count) const {
    const kernels::MinMax range =
        kernels::min_max_bytes(weight.dtype, bytes_at(row, column), count);
    if (!range.finite) check_row_finite(weight, row, column, count);
    return range;
  }

  void write_codes(std::int64_t row, std::int64_t column, std::int64_t count,
                   AffineParams p) const noexcept {
    kernels::quantize_row(weight.dtype, bytes_at(row, column), count, p.scale, p.zero_point,
                          lowest_code(result.scheme), result.scheme.qmax(),
                          result.codes.data() + row * result.in + column);
  }

  void store_params(std::size_t index, AffineParams p) const noexcept {
    result.scales[index] = p.scale;
    result.zeros[index] = p.zero_point;
  }
};

AffineParams params_of(const Work& work, std::int64_t row, std::int64_t group,
                       const kernels::MinMax& range) {
  try {
    return work.params(range.min, range.max);
  } catch (Error& error) {
    error.at(fmt::format("row {}, group {}", row, group));
    throw;
  }
}

void quantize_row_by_row(const Context& ctx, const Work& work) {
  const QuantizedLinear& q = work.result;
  const std::int64_t groups = q.scheme.groups(q.in);
  const std::int64_t columns = q.scheme.group_columns(q.in);
  for_row_blocks(ctx, q.out, q.in, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t g = 0; g < groups; ++g) {
        const kernels::MinMax range = work.range(row, g * columns, columns);
        const AffineParams p = params_of(work, row, g, range);
        work.store_params(q.scale_index(row, g), p);
        work.write_codes(row, g * columns, columns, p);
      }
    }
  });
}

kernels::MinMax matrix_range(const Context& ctx, const Work& work) {
  const QuantizedLinear& q = work.result;
  std::vector<kernels::MinMax> rows(static_cast<std::size_t>(q.out));
  for_row_blocks(ctx, q.out, q.in, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      rows[static_cast<std::size_t>(row)] = work.range(row, 0, q.in);
    }
  });
  kernels::MinMax range = rows.empty() ? kernels::MinMax{} : rows.front();
  for (const kernels::MinMax& row : rows) {
    range.min = std::min(range.min, row.min);
    range.max = std::max(range.max, row.max);
  }
  return range;
}

void quantize_with_one_scale(const Context& ctx, const Work& work) {
  const kernels::MinMax range = matrix_range(ctx, work);
  const AffineParams p = work.params(range.min, range.max);
  work.store_params(0, p);
  const QuantizedLinear& q = work.result;
  for_row_blocks(ctx, q.out, q.in, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      work.write_codes(row, 0, q.in, p);
  });
}

}  // namespace

std::string_view refuses_uniform(const Scheme& scheme) noexcept {
  if (scheme.form != CodeForm::uniform) return "its codes are multiples of one scale";
  if (scheme.weight_bits != 4 && scheme.weight_bits != 8) {
    return "weights can have 4 or 8 bits";
  }
  if (scheme.granularity == Granularity::group && scheme.group_size < 1) {
    return "a scheme per group needs a group size";
  }
  if (scheme.activations == Activations::none) return "";
  if (!scheme.symmetric) {
    return "with 8-bit activations weights must be symmetric: their integer product has no room "
           "for a weight zero point";
  }
  if (scheme.granularity == Granularity::group) {
    return "with 8-bit activations scales are per channel or per tensor: an integer sum over a "
           "row cannot change its scale from group to group";
  }
  return "";
}

QuantizedLinear quantize_uniform(const Context& ctx, const TensorView& weight, const Scheme& scheme,
                                 DType scale_dtype, const ParamsOfRange& params_of) {
  check_weight(weight, scheme, scale_dtype);
  QuantizedLinear q;
  q.scheme = scheme;
  q.out = weight.shape[0];
  q.in = weight.shape[1];
  q.scale_dtype = scale_dtype;
  allocate(q);
  const Work work{weight, q, params_of};
  if (scheme.granularity == Granularity::tensor) {
    quantize_with_one_scale(ctx, work);
  } else {
    quantize_row_by_row(ctx, work);
  }
  return q;
}

}  // namespace pare::quant
