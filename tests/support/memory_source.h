// A checkpoint in memory, and a tiny random decoder, for tests of the rooms above formats.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pare/error.h"
#include "core/rng.h"
#include "containers/tensor_source.h"
#include "model/graph.h"
#include "model/llama_shape.h"

namespace pare::testing {

class MemorySource final : public containers::TensorSource {
 public:
  void put(const std::string& name, Tensor tensor) {
    tensors_[name] = std::move(tensor);
    infos_.clear();
    for (const auto& [key, value] : tensors_) infos_.push_back({key, value.dtype(), value.shape()});
  }
  void remove(const std::string& name) {
    tensors_.erase(name);
    infos_.clear();
    for (const auto& [key, value] : tensors_) infos_.push_back({key, value.dtype(), value.shape()});
  }
  Tensor& at(const std::string& name) { return tensors_.at(name); }

  std::span<const containers::TensorInfo> tensors() const noexcept override { return infos_; }
  const containers::TensorInfo* find(std::string_view name) const noexcept override {
    const auto found = std::find_if(infos_.begin(), infos_.end(),
                                    [&](const auto& info) { return info.name == name; });
    return found == infos_.end() ? nullptr : &*found;
  }
  TensorView read(std::string_view name) const override {
    const auto found = tensors_.find(std::string(name));
    if (found == tensors_.end()) throw Error(ErrorCode::tensor_missing, std::string(name));
    return found->second.view();
  }
  void release(std::string_view) const noexcept override {}
  std::string file_of(std::string_view) const override { return "memory"; }
  std::vector<std::filesystem::path> files() const override { return {}; }

 private:
  std::map<std::string, Tensor> tensors_;
  std::vector<containers::TensorInfo> infos_;
};

/// Values in (-amplitude, amplitude), the same for the same seed everywhere.
inline Tensor random_tensor(Rng& rng, Shape shape, double amplitude, double centre = 0) {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& v : values) v = static_cast<float>(centre + amplitude * (2 * rng.uniform() - 1));
  return store_floats(values, DType::f32, std::move(shape));
}

/// Fills a source with every tensor the graph needs.
inline std::unique_ptr<MemorySource> random_weights(const model::ModelGraph& graph,
                                                    std::uint64_t seed) {
  auto source = std::make_unique<MemorySource>();
  Rng rng(seed);
  for (const model::Module& module : graph.modules) {
    if (module.source != module.weight_name()) continue;  // a tied head
    const double in = module.shape.rank() == 2 ? static_cast<double>(module.in()) : 0;
    switch (module.kind) {
      case model::ModuleKind::norm:
      case model::ModuleKind::head_norm:
        source->put(module.source, random_tensor(rng, module.shape, 0.3, 1.0));
        break;
      case model::ModuleKind::embedding:
        source->put(module.source, random_tensor(rng, module.shape, 1));
        break;
      case model::ModuleKind::head:
        source->put(module.source, random_tensor(rng, module.shape, 0.5));
        break;
      case model::ModuleKind::linear:
        source->put(module.source, random_tensor(rng, module.shape, 1.5 / std::sqrt(in)));
        if (!module.bias) break;
        source->put(module.bias_name(), random_tensor(rng, {module.out()}, 0.2));
        break;
    }
  }
  return source;
}

/// A decoder of two blocks that takes microseconds to run.
inline model::ModelGraph tiny_graph() {
  model::ModelConfig c;
  c.architecture = "llama";
  c.class_name = "LlamaForCausalLM";
  c.vocab_size = 50;
  c.hidden_size = 32;
  c.intermediate_size = 48;
  c.layers = 2;
  c.max_positions = 64;
  c.rms_norm_eps = 1e-5F;
  c.attention = {.heads = 4, .kv_heads = 2, .head_dim = 8};
  c.windows = {0, 0};
  return model::llama_graph(c);
}

}  // namespace pare::testing
