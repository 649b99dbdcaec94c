#include "layouts/ascend/math/scale_bias.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdlib>

namespace pare::layout {
namespace {

constexpr double kFactor = 8;  // the middle of the 16 values of a nibble

/// Sum of term(code * group scale) over a run, both whole numbers, times the scale of the row.
template <class Term>
double run_sum(const quant::QuantizedLinear& q, std::int64_t row, std::int64_t first,
               std::int64_t count, const Term& term) {
  const std::int64_t columns = q.scheme.group_columns(q.in);
  const std::int8_t* codes = q.codes.data() + row * q.in;
  double sum = 0;
  for (std::int64_t i = first; i < first + count; ++i) {
    const std::int64_t group = i / columns;
    const double steps = static_cast<double>(codes[i]) - static_cast<double>(q.zero_at(row, group));
    sum += term(steps * static_cast<double>(q.scale_at(row, group)));
  }
  return sum * static_cast<double>(q.row_scales[static_cast<std::size_t>(row)]);
}

template <class Term>
std::vector<double> sums(const quant::QuantizedLinear& q, std::int64_t runs, const Term& term) {
  const std::int64_t width = q.in / runs;
  std::vector<double> all;
  all.reserve(static_cast<std::size_t>(q.out * runs));
  for (std::int64_t row = 0; row < q.out; ++row) {
    for (std::int64_t run = 0; run < runs; ++run) {
      all.push_back(kFactor * run_sum(q, row, run * width, width, term));
    }
  }
  return all;
}

}  // namespace

std::int64_t scale_bias_runs(bool row_parallel) noexcept { return row_parallel ? 16 : 1; }

std::vector<float> scale_biases(const quant::QuantizedLinear& q, std::int64_t runs) {
  std::vector<float> result;
  for (const double sum : sums(q, runs, [](double value) { return value; })) {
    const auto rounded = static_cast<float>(sum);
    if (!std::isfinite(rounded)) {
      throw Error(ErrorCode::out_of_range,
                  fmt::format("scale_bias {} is {:.6g}, which f32 cannot hold", result.size(), sum))
          .hint("keep this layer in float with --disable-names");
    }
    result.push_back(rounded);
  }
  return result;
}

std::vector<float> scale_bias_tolerances(const quant::QuantizedLinear& q, std::int64_t runs) {
  // Two bf16 roundings of 2^-9 each, and f32 sums in another order.
  constexpr double kRelative = 0x1p-7;
  std::vector<float> result;
  for (const double sum : sums(q, runs, [](double value) { return std::fabs(value); })) {
    result.push_back(static_cast<float>(sum * kRelative) + 0x1p-100F);
  }
  return result;
}

}  // namespace pare::layout
