// The narrow waist: one quantized linear layer, filled by methods, emptied by layouts.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "quant/scheme.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pare::quant {

/// Static activation quantization: x_q = clamp(round(x / scale + zero_point), -128, 127).
struct ActivationParams {
  float scale = 1;
  float zero_point = 0;             // a whole number in -128..127
  DType stored_dtype = DType::f32;  // the type both are written in; both are exact in it
};

/// Shapes: codes [O, I] unpacked; scales, zeros [O, G] row-major, or one value per tensor.
/// Math:   w[o][i] = (code - zero) * scale; zeros are whole numbers, all 0 when symmetric.
///         two_stage: w = (code - zero) * scale * row_scale, scales are whole numbers.
///         power != 1: w = sign(y) * |y|^(1/power) of that y.
/// Scales are exact in `scale_dtype`: what the file will hold is what the codes were made with.
struct QuantizedLinear {
  std::string name;  // module name: "model.layers.0.self_attn.q_proj"
  Scheme scheme;
  std::int64_t out = 0;
  std::int64_t in = 0;
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<float> zeros;
  std::vector<float> row_scales;  // [O]; two_stage only, else empty
  /// [I]: the group of each column, in act-order; empty = column / group size.
  std::vector<std::int32_t> group_index;
  float power = 1;                // of the domain that codes are linear in
  DType scale_dtype = DType::f32;
  std::optional<Tensor> bias;  // as in the source, [O]
  std::optional<ActivationParams> input;

  float scale_at(std::int64_t row, std::int64_t group) const noexcept {
    return scales[scale_index(row, group)];
  }
  float zero_at(std::int64_t row, std::int64_t group) const noexcept {
    return zeros[scale_index(row, group)];
  }
  std::size_t scale_index(std::int64_t row, std::int64_t group) const noexcept {
    if (scheme.granularity == Granularity::tensor) return 0;
    return static_cast<std::size_t>(row * scheme.groups(in) + group);
  }
};

/// Sizes codes, scales and zeros for the `scheme`, `out` and `in` that are set; all values are 0.
void allocate(QuantizedLinear& q);

/// Group of one column, be it by position or by `group_index`.
std::int64_t group_of(const QuantizedLinear& q, std::int64_t column) noexcept;

/// Empties a `group_index` that says no more than column / group size.
void drop_plain_group_index(QuantizedLinear& q) noexcept;

/// `count` columns of one row from `first` on, all in one group (unless a `group_index` says which),
/// as the f32 they stand for.
void dequantize_columns(const QuantizedLinear& q, std::int64_t row, std::int64_t first,
                        std::int64_t count, float* out) noexcept;

/// The weight the codes stand for: [O, I] f32. Threads: rows in parallel, same bytes for any count.
void dequantize(const Context& ctx, const QuantizedLinear& q, MatrixView<float> out);

}  // namespace pare::quant
