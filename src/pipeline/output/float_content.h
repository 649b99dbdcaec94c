// What is held against the files after writing: a hash of a linear's codes, or, where it is written
// as float weights, of the weights that the codes stand for in the type of the files.
#pragma once

#include "pipeline/quantize/plan.h"
#include "pipeline/quantize/quantize.h"

#include <cstdint>
#include <optional>

namespace pare::pipeline {

/// Of a weight [O, I] and a bias [O], by values.
std::uint64_t float_content(const TensorView& weight, const std::optional<TensorView>& bias);

/// What the files of an output will hold of a linear: content_hash, or float_content of the weights
/// where the format writes plain floats.
std::uint64_t written_content(const Output& output, const quant::QuantizedLinear& linear);

}  // namespace pare::pipeline
