// Static activations: the integers and scales that let a device compute a whole linear in int8.
//
// Math: y = (sum_i x_q[i] * code[o][i] + quant_bias[o]) * deq_scale[o]
//       deq_scale  = input_scale * weight_scale                       (f32 product)
//       quant_bias = rint(bias / deq_scale - zero_point * sum_i code[o][i])
// Source: docs/formats/ascend.md, "Static activations"
#pragma once

#include "pare/quantized_linear.h"
#include "pare/tensor.h"

#include <cstdint>
#include <span>
#include <vector>

namespace pare::layout {

/// Sum of the codes of every row: [O].
std::vector<std::int64_t> code_sums(const quant::QuantizedLinear& q);

/// One value per row, or one per tensor.
/// Deviation: the product is taken in f32, also for half-precision models, where msModelSlim
/// multiplies in the model's type and loses up to 8 bits of it.
/// Errors: out_of_range when a product is no positive number of f32.
std::vector<float> deq_scales(const quant::QuantizedLinear& q);

/// The weight scales that stand behind deq_scale where the files hold no others.
/// Math: the s among fl(deq / input_scale) and its two neighbours with fl(input_scale * s) = deq. A
///       product rounds by at most half its last place, so any s behind deq lies less than one last
///       place of its own from the quotient, and is one of the three.
/// A deq that is no such product (msModelSlim multiplies in half precision) gives the quotient.
std::vector<float> weight_scales_of(std::span<const float> deq, float input_scale);

/// [O], computed in f64 and rounded half to even; without a bias in the source it counts as 0.
/// Errors: out_of_range (naming the row) when a value does not fit 32 bits.
std::vector<std::int32_t> quant_biases(const quant::QuantizedLinear& q, std::span<const float> deq);

/// What the two make of a float bias: (quant_bias + zero_point * sum) * deq_scale, [O];
/// empty when it is 0 in every row.
std::vector<float> effective_bias(const quant::QuantizedLinear& q,
                                  std::span<const std::int32_t> quant_bias,
                                  std::span<const float> deq);

/// bf16 models: F32. Other models: I64, the bits of the f32 value as a 32-bit integer, widened.
DType deq_scale_dtype(DType model_dtype) noexcept;
Tensor store_deq_scales(std::span<const float> deq, DType stored, Shape shape);

/// The values of either form. Errors: tensor_mismatch for another dtype, or I64 numbers that are
/// not the bits of an f32.
std::vector<float> load_deq_scales(const TensorView& stored);

}  // namespace pare::layout
