#include "layouts/ascend/math/static_algebra.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace pare::layout {
namespace {

/// One value for all rows, or one for each.
template <typename T>
T value_of_row(std::span<const T> values, std::size_t row) noexcept {
  return values.size() == 1 ? values[0] : values[row];
}

std::int32_t quant_bias_of_row(double bias, double deq, double zero_point, std::int64_t sum,
                               std::size_t row) {
  const double exact = bias / deq - zero_point * static_cast<double>(sum);
  const double rounded = std::nearbyint(exact);
  constexpr double kLowest = std::numeric_limits<std::int32_t>::min();
  constexpr double kHighest = std::numeric_limits<std::int32_t>::max();
  if (rounded >= kLowest && rounded <= kHighest) return static_cast<std::int32_t>(rounded);
  throw Error(ErrorCode::out_of_range,
              fmt::format("quant_bias of row {} is {:.6g} (bias {:.6g}, deq_scale {:.6g}), which a "
                          "32-bit integer cannot hold",
                          row, exact, bias, deq))
      .hint("keep this layer in float with --disable-names, or use w8a8-dynamic");
}

/// The f32 that times `factor` rounds to `product`, or the nearest to it when there is none.
float factor_of(float product, float factor) noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float quotient = product / factor;
  for (const float near :
       {quotient, std::nextafter(quotient, 0.0F), std::nextafter(quotient, kInfinity)}) {
    if (factor * near == product) return near;
  }
  return quotient;
}

}  // namespace

std::vector<std::int64_t> code_sums(const quant::QuantizedLinear& q) {
  std::vector<std::int64_t> sums(static_cast<std::size_t>(q.out));
  const std::int8_t* row = q.codes.data();
  for (std::int64_t& sum : sums) {
    sum = std::accumulate(row, row + q.in, std::int64_t{0});
    row += q.in;
  }
  return sums;
}

std::vector<float> deq_scales(const quant::QuantizedLinear& q) {
  std::vector<float> deq;
  deq.reserve(q.scales.size());
  for (const float weight_scale : q.scales) {
    const float product = q.input->scale * weight_scale;
    if (!(product > 0) || !std::isfinite(product)) {
      throw Error(ErrorCode::out_of_range,
                  fmt::format("input_scale {:.6g} times weight_scale {:.6g} of row {} is {}",
                              q.input->scale, weight_scale, deq.size(), product))
          .hint("keep this layer in float with --disable-names");
    }
    deq.push_back(product);
  }
  return deq;
}

std::vector<float> weight_scales_of(std::span<const float> deq, float input_scale) {
  std::vector<float> scales(deq.size());
  std::transform(deq.begin(), deq.end(), scales.begin(),
                 [&](float product) { return factor_of(product, input_scale); });
  return scales;
}

std::vector<std::int32_t> quant_biases(const quant::QuantizedLinear& q,
                                       std::span<const float> deq) {
  std::vector<float> bias(static_cast<std::size_t>(q.out));
  if (q.bias.has_value()) bias = read_floats(q.bias->view());
  const std::vector<std::int64_t> sums = code_sums(q);
  std::vector<std::int32_t> result(bias.size());
  for (std::size_t row = 0; row < result.size(); ++row) {
    result[row] = quant_bias_of_row(static_cast<double>(bias[row]),
                                    static_cast<double>(value_of_row(deq, row)),
                                    static_cast<double>(q.input->zero_point), sums[row], row);
  }
  return result;
}

std::vector<float> effective_bias(const quant::QuantizedLinear& q,
                                  std::span<const std::int32_t> quant_bias,
                                  std::span<const float> deq) {
  const std::vector<std::int64_t> sums = code_sums(q);
  const auto zero_point = static_cast<std::int64_t>(q.input->zero_point);
  std::vector<float> bias(sums.size());
  bool any = false;
  for (std::size_t row = 0; row < bias.size(); ++row) {
    const std::int64_t steps = quant_bias[row] + zero_point * sums[row];
    any = any || steps != 0;
    bias[row] = static_cast<float>(static_cast<double>(steps) *
                                   static_cast<double>(value_of_row(deq, row)));
  }
  if (!any) bias.clear();
  return bias;
}

DType deq_scale_dtype(DType model_dtype) noexcept {
  return model_dtype == DType::bf16 ? DType::f32 : DType::i64;
}

Tensor store_deq_scales(std::span<const float> deq, DType stored, Shape shape) {
  if (stored == DType::f32) return Tensor::from<float>(DType::f32, std::move(shape), deq);
  std::vector<std::int64_t> bits(deq.size());
  std::transform(deq.begin(), deq.end(), bits.begin(), [](float value) {
    return static_cast<std::int64_t>(std::bit_cast<std::int32_t>(value));
  });
  return Tensor::from<std::int64_t>(DType::i64, std::move(shape), bits);
}

std::vector<float> load_deq_scales(const TensorView& stored) {
  if (stored.dtype == DType::f32) return read_floats(stored);
  if (stored.dtype != DType::i64) {
    throw Error(ErrorCode::tensor_mismatch,
                fmt::format("deq_scale is {}; it is I64 or F32", name_of(stored.dtype)));
  }
  std::vector<float> values(stored.data.size() / sizeof(std::int64_t));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::int64_t bits = 0;
    std::memcpy(&bits, stored.data.data() + i * sizeof bits, sizeof bits);
    if (bits < std::numeric_limits<std::int32_t>::min() ||
        bits > std::numeric_limits<std::int32_t>::max()) {
      throw Error(ErrorCode::tensor_mismatch,
                  fmt::format("deq_scale {} of row {} is not the bits of an F32", bits, i));
    }
    values[i] = std::bit_cast<float>(static_cast<std::int32_t>(bits));
  }
  return values;
}

}  // namespace pare::layout
