// One quantized linear layer, filled by methods and readers, emptied by layouts: where all meet.
// What it is quantized to, its codes and scales, and the weight that they stand for.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pare::quant {

enum class Granularity { tensor, channel, group };  // one scale per matrix, per row, per group

enum class Activations {
  none,           // weight-only: float activations
  static_tensor,  // int8, one scale and zero point for the tensor, from calibration
  dynamic_token   // int8, one scale per token at run time
};

/// How codes stand for weights.
enum class CodeForm {
  uniform,   // code * scale
  outliers,  // sparse: most weights on a 4-bit grid, a few outliers on the int8 grid of the same scale
  two_stage  // code * group scale * row scale; group scales are whole numbers
};

struct Scheme {
  int weight_bits = 8;
  bool symmetric = true;
  Granularity granularity = Granularity::channel;
  std::int64_t group_size = 0;  // input columns per scale; only for Granularity::group
  Activations activations = Activations::none;
  CodeForm form = CodeForm::uniform;

  /// Scales per row for a matrix with `in` input columns.
  std::int64_t groups(std::int64_t in) const noexcept {
    return granularity == Granularity::group ? in / group_size : 1;
  }
  /// Columns that share one scale.
  std::int64_t group_columns(std::int64_t in) const noexcept {
    return granularity == Granularity::group ? group_size : in;
  }
  int qmin() const noexcept { return -(1 << (weight_bits - 1)); }
  int qmax() const noexcept { return (1 << (weight_bits - 1)) - 1; }

  /// "w4a16 g64", "w8a8", "w8a16 per-tensor asym": for people.
  std::string text() const;

  friend bool operator==(const Scheme&, const Scheme&) = default;
};

/// Static activation quantization: x_q = clamp(round(x / scale + zero_point), -128, 127).
struct ActivationParams {
  float scale = 1;
  float zero_point = 0;             // a whole number in -128..127
  DType stored_dtype = DType::f32;  // the type both are written in; both are exact in it

  friend bool operator==(const ActivationParams&, const ActivationParams&) = default;
};

/// What is known of a quantized linear without its numbers: what a plan promises of it before any
/// weight is read, and what it says of itself afterwards.
struct LinearHeader {
  std::string name;  // module name: "model.layers.0.self_attn.q_proj"
  Scheme scheme;
  std::int64_t out = 0;
  std::int64_t in = 0;
  DType scale_dtype = DType::f32;
  DType activation_dtype = DType::f32;  // of scale and zero point, with static activations
  std::optional<DType> bias_dtype;      // of the float bias, when there is one
  bool has_exponent = false;            // codes are linear in a power of the weight
  bool act_order = false;               // columns name their groups
  bool symmetric_input = false;         // static activations whose zero point is known to be 0
  bool row_parallel = false;            // engines split its inputs among devices

  friend bool operator==(const LinearHeader&, const LinearHeader&) = default;
};

/// Shapes: codes [O, I] unpacked; scales, zeros [O, G] row-major, or one value per tensor.
/// Math:   w[o][i] = (code - zero) * scale; zeros are whole numbers, all 0 when symmetric.
///         two_stage: w = (code - zero) * scale * row_scale, scales are whole numbers.
///         exponent != 1: w = sign(y) * |y|^(1/exponent) of that y.
/// Scales are exact in `scale_dtype`: what the file will hold is what the codes were made with.
struct QuantizedLinear : LinearHeader {
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<float> zeros;
  std::vector<float> row_scales;  // [O]; two_stage only, else empty
  /// [I]: the group of each column, in act-order; empty = column / group size.
  std::vector<std::int32_t> group_index;
  float exponent = 1;          // of the domain that codes are linear in
  std::optional<Tensor> bias;  // as in the source, [O]
  std::optional<ActivationParams> input;

  const LinearHeader& header() const noexcept { return *this; }
  LinearHeader& header() noexcept { return *this; }

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

/// Lets the header say what the parts show: the types of bias and activation parameters, exponent,
/// act-order, symmetric inputs.
void describe_parts(QuantizedLinear& q);

/// "" when every part has the size and type that the header promises, else what differs.
std::string mismatch_of_parts(const QuantizedLinear& q);

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
