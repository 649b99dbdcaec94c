#include "model/weights.h"

namespace pare::model {

LinearWeights FloatWeights::linear(const Context& /*ctx*/, const std::string& module) const {
  LinearWeights weights;
  weights.weight = source_.read(module + ".weight");
  const std::string bias = module + ".bias";
  if (source_.find(bias) != nullptr) weights.bias = read_floats(source_.read(bias));
  return weights;
}

void FloatWeights::release(const std::string& name) const noexcept {
  source_.release(name);
  source_.release(name + ".weight");
  source_.release(name + ".bias");
}

}  // namespace pare::model
