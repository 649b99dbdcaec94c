// What every method does to a weight around its own idea: refuse what cannot be quantized, and
// turn a range of weights into the scale and zero point that will be stored.
#pragma once

#include "pare/quantized_linear.h"
#include "pare/tensor.h"
#include "quant/affine.h"

#include <cstdint>

namespace pare::quant {

/// Checks a weight and the place of its scales before any work.
/// Shapes: weight [O, I].
/// Errors: tensor_mismatch for another rank, an element type other than f32, f16 and bf16, or bytes
///         that are not O * I elements; group_does_not_divide, naming the sizes that would;
///         scheme_not_supported when scale_dtype is no float type.
void check_weight(const TensorView& weight, const Scheme& scheme, DType scale_dtype);

/// Throws Error(not_finite) naming the first column of `row` in [first, first + count) that holds
/// NaN or infinity; returns when there is none.
void check_row_finite(const TensorView& weight, std::int64_t row, std::int64_t first,
                      std::int64_t count);

/// Scale and zero point of the weights in [min, max] that share them, as they will be stored.
///
/// Math: channel and tensor: affine_params. Group: sym scale = max(-min, max) / qmax,
///       asym scale = (max - min) / (2^b - 1) without widening the range to hold 0.
///       The scale is rounded to scale_dtype first; the zero point rint(-min / scale) - 2^(b-1)
///       (group: -rint(min / scale) - 2^(b-1)) and the codes use the rounded scale.
/// Deviation: weights that are all zero get scale 1 and zero point 0, where the reference keeps the
///       smallest scale or divides 0 by 0. An asymmetric group that is constant, or whose zero
///       point scale_dtype cannot hold, uses the range widened to hold 0. A scale that rounds to 0
///       is the smallest positive value of scale_dtype. The zero point of a range that holds 0 is
///       clamped to a code, which matters only among the smallest numbers of scale_dtype.
/// Errors: out_of_range when the scale is infinite in scale_dtype.
AffineParams scale_of_range(const Scheme& scheme, float min, float max, DType scale_dtype);

/// `scale` as scale_dtype will hold it: the smallest positive value where it would round to 0.
/// min and max are the weights it was made for, named in the error.
/// Errors: out_of_range when it is infinite in scale_dtype.
float stored_scale(float scale, float min, float max, DType scale_dtype);

/// The smallest code a method may give: -qmax when symmetric, so that codes are symmetric too.
inline int lowest_code(const Scheme& scheme) noexcept {
  return scheme.symmetric ? -scheme.qmax() : scheme.qmin();
}

}  // namespace pare::quant
