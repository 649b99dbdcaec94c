// The loops of methods whose codes are multiples of one scale per matrix, row or group: a range of
// weights becomes parameters, and parameters become codes.
#pragma once

#include "pare/context.h"
#include "pare/quantized_linear.h"
#include "pare/tensor.h"
#include "quant/affine.h"

#include <functional>
#include <string_view>

namespace pare::quant {

/// Scale and zero point, exact in the type of stored scales, of weights in [min, max].
using ParamsOfRange = std::function<AffineParams(float min, float max)>;

/// "" when uniform codes of 4 or 8 bits can hold the scheme, else the reason they cannot.
std::string_view refuses_uniform(const Scheme& scheme) noexcept;

/// Reads every range of the scheme, asks for its parameters and writes its codes.
/// Shapes and errors: those of Method::quantize. Threads: rows in parallel, same bytes for any
/// count.
QuantizedLinear quantize_uniform(const Context& ctx, const TensorView& weight, const Scheme& scheme,
                                 DType scale_dtype, const ParamsOfRange& params_of);

}  // namespace pare::quant
