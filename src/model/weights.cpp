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

const Tensor* PatchedWeights::patch(const std::string& name) const {
  const auto found = patches_.find(name);
  return found != patches_.end() ? &found->second : nullptr;
}

LinearWeights PatchedWeights::linear(const Context& ctx, const std::string& module) const {
  LinearWeights weights = base_.linear(ctx, module);
  if (const Tensor* weight = patch(module + ".weight")) {
    weights.weight = weight->view();
    weights.owned = {};
  }
  if (const Tensor* bias = patch(module + ".bias")) weights.bias = read_floats(bias->view());
  return weights;
}

TensorView PatchedWeights::tensor(const std::string& name) const {
  const Tensor* found = patch(name);
  return found != nullptr ? found->view() : base_.tensor(name);
}

TensorView PatchedWeights::rows(const std::string& name, std::int64_t first,
                                std::int64_t count) const {
  const Tensor* found = patch(name);
  return found != nullptr ? rows_of(found->view(), first, count) : base_.rows(name, first, count);
}

bool PatchedWeights::has(const std::string& name) const {
  return patch(name) != nullptr || base_.has(name);
}

}  // namespace pare::model
