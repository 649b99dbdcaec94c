// What is held against the files when a linear is written as float weights: a hash of the weights
// that its codes stand for, in the type of the files.
#pragma once

#include "pipeline/plan.h"
#include "pipeline/quantize.h"

#include <cstdint>
#include <optional>

namespace pare::pipeline {

/// Of a weight [O, I] and a bias [O], by values.
std::uint64_t float_content(const TensorView& weight, const std::optional<TensorView>& bias);

/// Replaces the content of a result by the above where the format writes plain floats.
void note_float_content(const Plan& plan, const quant::QuantizedLinear& linear,
                        LinearResult& result);

}  // namespace pare::pipeline
