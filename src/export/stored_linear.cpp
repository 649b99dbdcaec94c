#include "export/stored_linear.h"

#include "core/error.h"
#include "export/static_algebra.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

namespace pare::export_ {
namespace {

constexpr const char* kDamaged = "the file is damaged or was made by another program";

[[noreturn]] void mismatch(Part part, const std::string& expected, const TensorView& found) {
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} must be {}, found {} {}", name_of(part), expected,
                          name_of(found.dtype), found.shape.text()))
      .hint(kDamaged);
}

[[noreturn]] void bad_value(Part part, std::size_t index, float value, std::string_view rule) {
  const bool finite = std::isfinite(value);
  throw Error(finite ? ErrorCode::tensor_mismatch : ErrorCode::not_finite,
              fmt::format("{}, value {}: {} {}", name_of(part), index, value, rule))
      .hint(kDamaged);
}

/// Floats of a part, each held against `allowed`.
template <typename Allowed>
std::vector<float> checked_floats(const FoundLinear& found, Part part, const Shape& shape,
                                  const Allowed& allowed, std::string_view rule) {
  const TensorView& view = *found[part];
  if (!is_weight_float(view.dtype) || view.shape != shape) {
    mismatch(part, fmt::format("F32, F16 or BF16 {}", shape.text()), view);
  }
  std::vector<float> values = read_floats(view);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!allowed(values[i])) bad_value(part, i, values[i], rule);
  }
  return values;
}

bool is_scale(float v) noexcept { return std::isfinite(v) && v >= 0; }
bool is_whole(float v) noexcept { return std::isfinite(v) && std::nearbyint(v) == v; }
bool is_int8(float v) noexcept { return is_whole(v) && v >= -128 && v <= 127; }

/// What weight_scale says about the matrix; rows 0 = one scale for all of it.
struct ScaleGrid {
  std::int64_t rows = 0;
  std::int64_t groups = 1;
};

ScaleGrid scale_grid(const FoundLinear& found) {
  const TensorView& scale = *found[Part::weight_scale];
  const Shape& shape = scale.shape;
  const bool empty = shape.rank() > 0 && shape.numel() == 0;
  if (empty || shape.rank() < 1 || shape.rank() > 2) mismatch(Part::weight_scale, "[O, G]", scale);
  if (shape.rank() == 2) return {shape[0], shape[1]};
  return shape[0] == 1 ? ScaleGrid{} : ScaleGrid{shape[0], 1};
}

Packing packing_in(const FoundLinear& found, const ScaleGrid& grid) noexcept {
  if (found.int4 == Int4::unpacked || found.scheme->weight_bits != 4) return Packing::none;
  return grid.groups > 1 ? Packing::outputs : Packing::inputs;
}

/// Fills out and in; the stored matrix, unpacked, must fit the scales.
void read_sizes(const FoundLinear& found, const ScaleGrid& grid, Packing packing,
                quant::QuantizedLinear& q) {
  const TensorView& weight = *found[Part::weight];
  constexpr std::int64_t kLargest = std::int64_t{1} << 40;
  const bool matrix = weight.dtype == DType::i8 && weight.shape.rank() == 2;
  if (!matrix || weight.numel() == 0 || weight.numel() > kLargest) {
    mismatch(Part::weight, "an I8 matrix", weight);
  }
  q.out = weight.shape[0] * (packing == Packing::outputs ? 2 : 1);
  q.in = weight.shape[1] * (packing == Packing::inputs ? 2 : 1);
  const bool fits = (grid.rows == 0 || grid.rows == q.out) && q.in % grid.groups == 0;
  if (fits) return;
  mismatch(Part::weight_scale,
           fmt::format("[{}, G] with G dividing {} beside a weight {}", q.out, q.in,
                       weight.shape.text()),
           *found[Part::weight_scale]);
}

void read_granularity(const FoundLinear& found, const ScaleGrid& grid, quant::QuantizedLinear& q) {
  q.scheme.granularity = grid.rows == 0 ? quant::Granularity::tensor : quant::Granularity::channel;
  const bool one_group_stated = grid.rows > 0 && found.group_size == q.in;
  if (grid.groups == 1 && !one_group_stated) return;
  q.scheme.granularity = quant::Granularity::group;
  q.scheme.group_size = q.in / grid.groups;
  if (found.group_size == 0 || found.group_size == q.scheme.group_size) return;
  throw Error(
      ErrorCode::bad_description,
      fmt::format("group_size is {}, but weight_scale {} means groups of {}", found.group_size,
                  found[Part::weight_scale]->shape.text(), q.scheme.group_size))
      .hint(kDamaged);
}

void read_codes(const FoundLinear& found, Packing packing, quant::QuantizedLinear& q) {
  const std::span<const std::byte> bytes = found[Part::weight]->data;
  if (packing != Packing::none) {
    q.codes = unpack_int4(bytes, q.out, q.in, packing);
    return;
  }
  q.codes.resize(bytes.size());
  std::memcpy(q.codes.data(), bytes.data(), bytes.size());
  if (q.scheme.weight_bits == 8) return;
  const auto [low, high] = std::minmax_element(q.codes.begin(), q.codes.end());
  if (*low >= q.scheme.qmin() && *high <= q.scheme.qmax()) return;
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} holds codes {} to {}, more than {} bits", name_of(Part::weight), *low,
                          *high, q.scheme.weight_bits))
      .hint("the weight may be packed: ascend-v1 files carry \"version\" in their description");
}

void read_scales(const FoundLinear& found, quant::QuantizedLinear& q) {
  const Shape shape = found[Part::weight_scale]->shape;
  q.scale_dtype = found[Part::weight_scale]->dtype;
  q.scales = checked_floats(found, Part::weight_scale, shape, is_scale, "is no scale");
  q.zeros = checked_floats(found, Part::weight_offset, shape, is_whole, "is no whole number");
  q.scheme.symmetric = std::all_of(q.zeros.begin(), q.zeros.end(), [](float z) { return z == 0; });
}

/// The bias, and its values as f32.
std::vector<float> read_bias(const FoundLinear& found, quant::QuantizedLinear& q) {
  if (!found[Part::bias].has_value()) return {};
  const TensorView& view = *found[Part::bias];
  std::vector<float> values = checked_floats(
      found, Part::bias, Shape{q.out}, [](float v) { return std::isfinite(v); }, "is not finite");
  q.bias = Tensor::from<std::byte>(view.dtype, view.shape, view.data);
  return values;
}

/// deq_scale must be the product of the scales, up to the rounding of half-precision products.
void check_deq_scales(const quant::QuantizedLinear& q, const std::vector<float>& deq) {
  for (std::size_t row = 0; row < deq.size(); ++row) {
    if (!is_scale(deq[row])) bad_value(Part::deq_scale, row, deq[row], "is no scale");
    const float product = q.input->scale * q.scales[row];
    if (std::fabs(deq[row] - product) <= product * 0x1p-6F + 0x1p-24F) continue;
    throw Error(ErrorCode::bad_description,
                fmt::format("deq_scale of row {} is {:.6g}, but input_scale times weight_scale is "
                            "{:.6g}",
                            row, deq[row], product))
        .hint(kDamaged);
  }
}

std::vector<std::int32_t> read_quant_bias(const FoundLinear& found,
                                          const quant::QuantizedLinear& q) {
  const TensorView& view = *found[Part::quant_bias];
  if (view.dtype != DType::i32 || view.shape != Shape{q.out}) {
    mismatch(Part::quant_bias, fmt::format("I32 [{}]", q.out), view);
  }
  std::vector<std::int32_t> values(static_cast<std::size_t>(q.out));
  std::memcpy(values.data(), view.data.data(), view.data.size());
  return values;
}

/// Activation parameters, and the bias that the integers stand for.
std::vector<float> read_static(const FoundLinear& found, quant::QuantizedLinear& q) {
  if (!q.scheme.symmetric || q.scheme.granularity == quant::Granularity::group) {
    mismatch(Part::weight_scale, "one symmetric scale per row or matrix, as static activations ask",
             *found[Part::weight_scale]);
  }
  quant::ActivationParams input;
  input.stored_dtype = found[Part::input_scale]->dtype;
  input.scale = checked_floats(
      found, Part::input_scale, Shape{1}, [](float v) { return is_scale(v) && v > 0; },
      "is no scale")[0];
  input.zero_point = checked_floats(found, Part::input_offset, Shape{1}, is_int8,
                                    "is no whole number in -128..127")[0];
  q.input = input;
  const TensorView& deq_view = *found[Part::deq_scale];
  const Shape expected{q.scheme.granularity == quant::Granularity::tensor ? 1 : q.out};
  if (deq_view.shape != expected) {
    mismatch(Part::deq_scale, fmt::format("I64 or F32 {}", expected.text()), deq_view);
  }
  const std::vector<float> deq = load_deq_scales(deq_view);
  check_deq_scales(q, deq);
  return effective_bias(q, read_quant_bias(found, q), deq);
}

}  // namespace

StoredLinear read_linear(const FoundLinear& found) {
  try {
    StoredLinear stored;
    quant::QuantizedLinear& q = stored.linear;
    q.name = found.module;
    q.scheme.weight_bits = found.scheme->weight_bits;
    q.scheme.activations = found.scheme->activations;
    const ScaleGrid grid = scale_grid(found);
    const Packing packing = packing_in(found, grid);
    read_sizes(found, grid, packing, q);
    read_granularity(found, grid, q);
    read_codes(found, packing, q);
    read_scales(found, q);
    stored.effective_bias = read_bias(found, q);
    const bool is_static = q.scheme.activations == quant::Activations::static_tensor;
    if (is_static) stored.effective_bias = read_static(found, q);
    return stored;
  } catch (Error& error) {
    error.at(found.module);
    throw;
  }
}

}  // namespace pare::export_
