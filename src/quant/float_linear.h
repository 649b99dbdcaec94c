// A linear layer in floats: what methods quantize, and what a model computes with.
#pragma once

#include "pare/quantized_linear.h"
#include "pare/tensor.h"

#include <optional>

namespace pare::quant {

/// Shapes: weight [O, I] and bias [O] of type f32, f16 or bf16; views borrow from a file, or own.
struct FloatLinear {
  TensorView weight;
  std::optional<TensorView> bias;
  Activations activations = Activations::none;  // how the input is rounded
  ActivationParams input;                       // with static activations
};

}  // namespace pare::quant
