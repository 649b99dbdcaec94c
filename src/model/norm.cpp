#include "model/norm.h"

#include "kernels/elementwise.h"

namespace pare::model {

Norm load_norm(const WeightSource& weights, const std::string& module) {
  Norm norm;
  norm.weight = read_floats(weights.tensor(module + ".weight"));
  const std::string bias = module + ".bias";
  if (weights.has(bias)) norm.bias = read_floats(weights.tensor(bias));
  return norm;
}

void apply_norm(const Context& ctx, const Norm& norm, float eps, MatrixView<const float> x,
                MatrixView<float> y) {
  kernels::rms_norm(ctx, x, norm.weight, eps, y);
  if (!norm.bias.empty()) kernels::add_bias(ctx, y, norm.bias);
}

}  // namespace pare::model
