#include "model/weights.h"

namespace pare::model {

namespace {

std::string bias_of_source(const Module& module) { return module_of(module.source) + ".bias"; }

/// The rows of a tensor that belong to a module: all of them unless modules share it.
TensorView rows_of_module(const containers::TensorSource& source, const std::string& tensor,
                          const Module& module) {
  const containers::TensorInfo* info = source.find(tensor);
  const bool all = info == nullptr || info->shape[0] == module.out();
  return all ? source.read(tensor) : source.read_rows(tensor, module.first_row, module.out());
}

}  // namespace

quant::FloatLinear FloatWeights::linear(const Context& /*ctx*/, const Module& module) const {
  quant::FloatLinear linear;
  linear.weight = rows_of_module(source_, module.source, module);
  const std::string bias = bias_of_source(module);
  if (source_.find(bias) != nullptr) linear.bias = rows_of_module(source_, bias, module);
  return linear;
}

void FloatWeights::release(const Module& module) const noexcept {
  source_.release(module.source);
  source_.release(bias_of_source(module));
}

const Tensor* PatchedWeights::patch(const std::string& name) const {
  const auto found = patches_.find(name);
  return found != patches_.end() ? &found->second : nullptr;
}

quant::FloatLinear PatchedWeights::linear(const Context& ctx, const Module& module) const {
  quant::FloatLinear linear = base_.linear(ctx, module);
  if (const Tensor* weight = patch(module.weight_name())) linear.weight = weight->view();
  if (const Tensor* bias = patch(module.bias_name())) linear.bias = bias->view();
  return linear;
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
