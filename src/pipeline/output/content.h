// What is held against the files after writing: a hash of a linear's codes, or, where it is written
// as float weights, of the weights that the codes stand for in the type of the files.
#pragma once

#include "layouts/output_plan.h"
#include "pare/quantized_linear.h"

#include <cstdint>
#include <optional>

namespace pare::pipeline {

/// Equal for equal codes, scales, zeros, exponent, order of columns and bias. Of sparse linears
/// with activation parameters, whose files hold no others: the products of scales and input scale.
std::uint64_t content_hash(const quant::QuantizedLinear& linear);

/// Of a weight [O, I] and a bias [O], by values.
std::uint64_t float_content(const TensorView& weight, const std::optional<TensorView>& bias);

/// What the files of an output will hold of a linear: content_hash, or float_content of the weights
/// where the layout writes plain floats.
std::uint64_t written_content(const layout::OutputPlan& output,
                              const quant::QuantizedLinear& linear);

}  // namespace pare::pipeline
