// How far a linear moved on its way from one layout into another.
#pragma once

#include "pare/quantized_linear.h"

#include <vector>

namespace pare::pipeline {

/// How far other scales, in the order of the columns, move the weights of a linear.
double scale_difference(const quant::QuantizedLinear& q, const std::vector<float>& scales);

/// Largest distance between the weights that two linears of one shape stand for.
double weight_difference(const quant::QuantizedLinear& a, const quant::QuantizedLinear& b);

/// The same for the weights of a linear, and those rounded to a type.
double rounding_difference(const quant::QuantizedLinear& q, DType dtype);

}  // namespace pare::pipeline
