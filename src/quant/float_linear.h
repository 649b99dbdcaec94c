// A linear layer in floats: what methods quantize, and what a model computes with.
#pragma once

#include <optional>

#include "core/tensor.h"
#include "quant/scheme.h"

namespace pare::quant {

/// Static activation quantization: x_q = clamp(round(x / scale + zero_point), -128, 127).
struct ActivationParams {
  float scale = 1;
  float zero_point = 0;             // a whole number in -128..127
  DType stored_dtype = DType::f32;  // the type both are written in; both are exact in it

  friend bool operator==(const ActivationParams&, const ActivationParams&) = default;
};

/// Shapes: weight [O, I] and bias [O] of type f32, f16 or bf16; views borrow from a file, or own.
struct FloatLinear {
  TensorView weight;
  std::optional<TensorView> bias;
  Activations activations = Activations::none;  // how the input is rounded
  ActivationParams input;                       // with static activations
};

}  // namespace pare::quant
