#include "pipeline/open/quantized_weights.h"

#include "model/architecture.h"
#include "pare/error.h"
#include "pare/quantized_linear.h"

#include <fmt/format.h>

namespace pare::pipeline {
namespace {

quant::ActivationParams input_of(const quant::QuantizedLinear& linear) {
  if (linear.input.has_value()) return *linear.input;
  throw Error(ErrorCode::bad_description,
              fmt::format("{} has static activations and no input parameters", linear.name));
}

/// A view that keeps its tensor.
TensorView owned(Tensor tensor) {
  const auto kept = std::make_shared<Tensor>(std::move(tensor));
  TensorView view = kept->view();
  view.owner = kept;
  return view;
}

[[noreturn]] void fail_shape(const std::string& name, const Shape& found, const Shape& expected) {
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} is {}, config.json says {}", name, found.text(), expected.text()))
      .hint("config.json and the weights are not of the same model");
}

[[noreturn]] void fail_missing(const std::string& name) {
  throw Error(ErrorCode::tensor_missing, name)
      .hint("config.json describes a tensor that the quantized files do not hold");
}

}  // namespace

QuantizedWeights::QuantizedWeights(const layout::QuantizedCheckpoint& checkpoint,
                                   const model::ModelGraph& graph)
    : checkpoint_(checkpoint), stored_(checkpoint.stored()) {
  for (std::string& name : checkpoint.tensors())
    floats_.insert(std::move(name));
  for (std::string& name : checkpoint.linears())
    linears_.insert(std::move(name));
  for (const model::Module& module : graph.modules) {
    switch (module.kind) {
      case model::ModuleKind::linear:
        expect_linear(module);
        break;
      case model::ModuleKind::norm:
        expect_norm(module);
        break;
      case model::ModuleKind::head:
        expect_head(module);
        break;
      case model::ModuleKind::embedding:
      case model::ModuleKind::head_norm:
        expect_tensor(module.weight_name(), module.shape);
        break;
    }
  }
  refuse_leftovers();
}

void QuantizedWeights::expect_linear(const model::Module& module) {
  if (linears_.contains(module.name)) {
    expected_.insert(module.name);
    expected_.insert(module.bias_name());  // layouts may keep the float bias beside the codes
    return;
  }
  expect_tensor(module.weight_name(), module.shape);
  // A smoothed linear that is kept in float has a bias that config.json does not speak of.
  if (module.bias || has(module.bias_name())) {
    expect_tensor(module.bias_name(), Shape{module.out()});
  }
}

/// Norms have a bias when they were smoothed.
void QuantizedWeights::expect_norm(const model::Module& module) {
  expect_tensor(module.weight_name(), module.shape);
  if (has(module.bias_name())) expect_tensor(module.bias_name(), module.shape);
}

/// A tied head is the embedding; a tensor of its own beside that is let pass.
void QuantizedWeights::expect_head(const model::Module& head) {
  const bool tied = head.source != head.weight_name();
  if (!tied || has(head.weight_name())) expect_linear(head);
}

void QuantizedWeights::expect_tensor(const std::string& name, const Shape& shape) {
  // By header alone: reading would decode the tensors of a packed folder.
  const containers::TensorInfo* found = floats_.contains(name) ? stored_->find(name) : nullptr;
  if (found == nullptr) fail_missing(name);
  expected_.insert(name);
  if (found->shape != shape) fail_shape(name, found->shape, shape);
  if (is_weight_float(found->dtype)) return;
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} holds {}; F32, F16 or BF16 is needed", name, name_of(found->dtype)));
}

void QuantizedWeights::refuse_leftovers() const {
  std::vector<std::string> names = checkpoint_.tensors();
  names.insert(names.end(), linears_.begin(), linears_.end());
  for (const std::string& name : names) {
    if (expected_.contains(name) || model::is_recomputed_buffer(name)) continue;
    throw Error(ErrorCode::bad_config,
                fmt::format("{} has no place in the model that config.json describes", name))
        .hint("check num_hidden_layers, the bias flags and model_type");
  }
}

quant::FloatLinear QuantizedWeights::linear(const Context& ctx, const model::Module& module) const {
  // The module that the weight comes from: the embedding for a tied head.
  const std::string name = model::module_of(module.source);
  const std::optional<layout::LoadedLinear> stored =
      linears_.contains(name) ? checkpoint_.linear(name) : std::nullopt;
  quant::FloatLinear linear;
  if (!stored) {
    linear.weight = tensor(module.source);
    linear.bias = checkpoint_.tensor(name + ".bias");
    return linear;
  }
  const quant::QuantizedLinear& q = stored->linear;
  const Shape shape{q.out, q.in};
  if (shape != module.shape) fail_shape(name, shape, module.shape);
  Tensor weight(DType::f32, shape);
  auto* values = reinterpret_cast<float*>(weight.bytes().data());
  quant::dequantize(ctx, q, MatrixView<float>(values, q.out, q.in));
  linear.weight = owned(std::move(weight));
  if (!stored->effective_bias.empty()) {
    linear.bias = owned(store_floats(stored->effective_bias, DType::f32, {q.out}));
  }
  linear.activations = q.scheme.activations;
  if (linear.activations == quant::Activations::static_tensor) linear.input = input_of(q);
  return linear;
}

TensorView QuantizedWeights::tensor(const std::string& name) const {
  const std::optional<TensorView> found = checkpoint_.tensor(name);
  if (!found) fail_missing(name);
  return *found;
}

TensorView QuantizedWeights::rows(const std::string& name, std::int64_t first,
                                  std::int64_t count) const {
  if (!floats_.contains(name)) fail_missing(name);
  return stored_->read_rows(name, first, count);
}

bool QuantizedWeights::has(const std::string& name) const {
  constexpr std::string_view kWeight = ".weight";
  if (floats_.contains(name)) return true;
  return name.ends_with(kWeight) && linears_.contains(name.substr(0, name.size() - kWeight.size()));
}

void QuantizedWeights::release(const std::string& name) const noexcept {
  checkpoint_.release(name);
}

void QuantizedWeights::release(const model::Module& module) const noexcept {
  const std::string name = model::module_of(module.source);
  checkpoint_.release(name);
  checkpoint_.release(name + ".weight");
  checkpoint_.release(name + ".bias");
}

}  // namespace pare::pipeline
