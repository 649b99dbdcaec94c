#include "pipeline/open/quantized_weights.h"

#include "core/error.h"
#include "model/architecture.h"
#include "quant/quantized_linear.h"

#include <fmt/format.h>

namespace pare::pipeline {
namespace {

model::ActivationQuant activation_of(const quant::QuantizedLinear& linear) {
  model::ActivationQuant input{.kind = linear.scheme.activations};
  if (input.kind != quant::Activations::static_tensor) return input;
  if (!linear.input) {
    throw Error(ErrorCode::bad_description,
                fmt::format("{} has static activations and no input parameters", linear.name));
  }
  input.scale = linear.input->scale;
  input.zero_point = linear.input->zero_point;
  return input;
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
  const model::ModelConfig& config = graph.config;
  expect_tensor(graph.embedding + ".weight", Shape{config.vocab_size, config.hidden_size});
  for (const model::BlockNames& block : graph.blocks) {
    for (const model::LinearRole role : model::kLinearRoles) {
      const model::LinearShape shape = linear_shape(config, role);
      expect_linear(block.linear(role), shape.out, shape.in, shape.bias);
    }
    expect_norm(block.input_norm, Shape{config.hidden_size});
    expect_norm(block.mlp_norm, Shape{config.hidden_size});
    if (!config.attention.qk_norm) continue;
    expect_tensor(block.q_norm + ".weight", Shape{config.attention.head_dim});
    expect_tensor(block.k_norm + ".weight", Shape{config.attention.head_dim});
  }
  expect_norm(graph.final_norm, Shape{config.hidden_size});
  if (!config.tied_head || has(graph.head + ".weight")) {
    expect_linear(graph.head, config.vocab_size, config.hidden_size, false);
  }
  refuse_leftovers();
}

void QuantizedWeights::expect_linear(const std::string& module, std::int64_t out, std::int64_t in,
                                     bool bias) {
  const Shape shape{out, in};
  shapes_[module] = shape;
  if (linears_.contains(module)) {
    expected_.insert(module);
    expected_.insert(module + ".bias");  // layouts may keep the float bias beside the codes
    return;
  }
  expect_tensor(module + ".weight", shape);
  // A smoothed linear that is kept in float has a bias that config.json does not speak of.
  if (bias || has(module + ".bias")) expect_tensor(module + ".bias", Shape{out});
}

/// Norms have a bias when they were smoothed.
void QuantizedWeights::expect_norm(const std::string& module, const Shape& shape) {
  expect_tensor(module + ".weight", shape);
  if (has(module + ".bias")) expect_tensor(module + ".bias", shape);
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

model::LinearWeights QuantizedWeights::linear(const Context& ctx, const std::string& module) const {
  model::LinearWeights weights;
  const std::optional<layout::StoredLinear> stored =
      linears_.contains(module) ? checkpoint_.linear(module) : std::nullopt;
  if (!stored) {
    weights.weight = tensor(module + ".weight");
    const auto bias = checkpoint_.tensor(module + ".bias");
    if (bias) weights.bias = read_floats(*bias);
    return weights;
  }
  const quant::QuantizedLinear& q = stored->linear;
  const Shape shape{q.out, q.in};
  const auto expected = shapes_.find(module);
  if (expected != shapes_.end() && expected->second != shape) {
    fail_shape(module, shape, expected->second);
  }
  weights.owned = Tensor(DType::f32, shape);
  auto* values = reinterpret_cast<float*>(weights.owned.bytes().data());
  quant::dequantize(ctx, q, MatrixView<float>(values, q.out, q.in));
  weights.weight = weights.owned.view();
  weights.bias = stored->effective_bias;
  weights.input = activation_of(q);
  return weights;
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
  checkpoint_.release(name + ".weight");
  checkpoint_.release(name + ".bias");
}

}  // namespace pare::pipeline
