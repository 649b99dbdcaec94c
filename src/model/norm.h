// RMS norms as the blocks apply them.
#pragma once

#include "model/weights.h"
#include "pare/context.h"
#include "pare/tensor.h"

#include <string>
#include <vector>

namespace pare::model {

/// The architectures know no norm with a bias; smoothing (transform/smooth.h) gives norms one.
struct Norm {
  std::vector<float> weight;
  std::vector<float> bias;  // empty = none
};

/// Reads `module`.weight and, where there is one, `module`.bias. Errors: tensor_missing.
Norm load_norm(const WeightSource& weights, const std::string& module);

/// y[t] = weight * x[t] * rsqrt(mean(x[t]^2) + eps) + bias. Shapes: x, y [T, D] (may be the same).
void apply_norm(const Context& ctx, const Norm& norm, float eps, MatrixView<const float> x,
                MatrixView<float> y);

}  // namespace pare::model
