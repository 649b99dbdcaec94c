#include "pipeline/output/content.h"

#include "io/hash.h"
#include "layouts/layout.h"

#include <bit>
#include <functional>
#include <span>
#include <vector>

namespace pare::pipeline {
namespace {

template <typename T>
std::uint64_t hash_of(const std::vector<T>& values) {
  return io::xxh3(std::as_bytes(std::span<const T>(values)));
}

/// A hash of row hashes: rows are made one at a time.
std::uint64_t content_of(std::int64_t rows, std::int64_t columns,
                         const std::function<void(std::int64_t, std::span<float>)>& fill,
                         const std::optional<TensorView>& bias) {
  std::vector<std::uint64_t> hashes;
  std::vector<float> row(static_cast<std::size_t>(columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    fill(r, row);
    hashes.push_back(hash_of(row));
  }
  if (bias.has_value()) hashes.push_back(hash_of(read_floats(*bias)));
  return hash_of(hashes);
}

/// The scales as far as files hold them: sparse ones only in products with the input scale.
std::vector<float> scales_in_files(const quant::QuantizedLinear& q) {
  std::vector<float> scales = q.scales;
  if (q.scheme.form != quant::CodeForm::outliers || !q.input.has_value()) return scales;
  for (float& scale : scales)
    scale = q.input->scale * scale;
  return scales;
}

}  // namespace

std::uint64_t content_hash(const quant::QuantizedLinear& linear) {
  const std::vector<float> scales = scales_in_files(linear);
  std::vector<float> bias;
  if (linear.bias.has_value()) bias = read_floats(linear.bias->view());
  const std::vector<std::uint64_t> parts = {
      hash_of(linear.codes),      hash_of(scales), hash_of(linear.zeros),
      hash_of(linear.row_scales), hash_of(bias),   std::bit_cast<std::uint32_t>(linear.exponent),
      hash_of(linear.group_index)};
  return hash_of(parts);
}

std::uint64_t float_content(const TensorView& weight, const std::optional<TensorView>& bias) {
  const std::int64_t columns = weight.shape[1];
  return content_of(
      weight.shape[0], columns,
      [&](std::int64_t r, std::span<float> row) { read_floats(weight, r * columns, row); }, bias);
}

std::uint64_t written_content(const layout::OutputPlan& output,
                              const quant::QuantizedLinear& linear) {
  if (!output.layout->plain_floats) return content_hash(linear);
  const DType stored = output.model_dtype;
  const std::int64_t columns = linear.scheme.group_columns(linear.in);
  const auto fill = [&](std::int64_t r, std::span<float> row) {
    for (std::int64_t first = 0; first < linear.in; first += columns) {
      quant::dequantize_columns(linear, r, first, columns, row.data() + first);
    }
    for (float& value : row)
      value = round_through(value, stored);
  };
  std::optional<TensorView> bias;
  if (linear.bias.has_value()) bias = linear.bias->view();
  return content_of(linear.out, linear.in, fill, bias);
}

}  // namespace pare::pipeline
