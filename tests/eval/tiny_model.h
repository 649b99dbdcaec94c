// A model of a few hundred made-up weights, held in memory, for tests of eval.
#pragma once

#include "core/rng.h"
#include "model/llama_shape.h"
#include "model/transformer.h"
#include "pare/error.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pare::eval::testing {

inline constexpr std::int64_t kVocabulary = 32;

class TinyWeights final : public model::WeightSource {
 public:
  /// `noise` is added to every weight of the linears: two models that differ a little.
  TinyWeights(const model::ModelGraph& graph, std::uint64_t seed, float noise) : rng_(seed) {
    for (const model::Module& module : graph.modules) {
      const bool linear = module.kind == model::ModuleKind::linear;
      add(module.weight_name(), module.shape, linear ? 0.4F : 1, linear ? noise : 0);
    }
  }

  quant::FloatLinear linear(const Context&, const model::Module& module) const override {
    quant::FloatLinear linear;
    linear.weight = tensor(module.source);
    return linear;
  }
  TensorView tensor(const std::string& name) const override { return tensors_.at(name).view(); }
  bool has(const std::string& name) const override { return tensors_.contains(name); }
  void release(const std::string&) const noexcept override {}
  void release(const model::Module&) const noexcept override {}

  void fill(const std::string& name, float value) {
    const Shape shape = tensors_.at(name).shape();
    const std::vector<float> values(static_cast<std::size_t>(shape.numel()), value);
    tensors_[name] = store_floats(values, DType::f32, shape);
  }

 private:
  void add(const std::string& name, const Shape& shape, float scale, float noise) {
    std::vector<float> values(static_cast<std::size_t>(shape.numel()));
    for (float& value : values) {
      value = scale * (2 * static_cast<float>(rng_.uniform()) - 1);
      if (noise != 0) value += noise * std::abs(value);
    }
    tensors_[name] = store_floats(values, DType::f32, shape);
  }

  Rng rng_;
  std::map<std::string, Tensor> tensors_;
};

inline model::ModelGraph tiny_graph() {
  model::ModelConfig config;
  config.vocab_size = kVocabulary;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.layers = 2;
  config.max_positions = 64;
  config.attention = {.heads = 2, .kv_heads = 1, .head_dim = 8};
  config.windows.assign(2, 0);
  return model::llama_graph(std::move(config));
}

struct TinyModel {
  explicit TinyModel(std::uint64_t seed = 1, float noise = 0)
      : graph(tiny_graph()), weights(graph, seed, noise) {}

  model::Model model() const { return {.graph = &graph, .weights = &weights}; }

  model::ModelGraph graph;
  TinyWeights weights;
};

/// `count` ids from a seed.
inline std::vector<text::TokenId> some_ids(std::int64_t count, std::uint64_t seed = 7) {
  Rng rng(seed);
  std::vector<text::TokenId> ids;
  for (std::int64_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<text::TokenId>(rng.next() % kVocabulary));
  }
  return ids;
}

/// Ids 0 … 31 stand for a, b, c, …; BOS 0, EOS -1 unless set. Not a real tokenizer.
class LetterTokenizer final : public text::Tokenizer {
 public:
  std::vector<text::TokenId> encode(std::string_view text) const override {
    std::vector<text::TokenId> ids = encode_plain(text);
    ids.insert(ids.begin(), 0);
    return ids;
  }
  std::vector<text::TokenId> encode_plain(std::string_view text) const override {
    std::vector<text::TokenId> ids;
    for (const char c : text)
      ids.push_back(c - 'a');
    return ids;
  }
  std::string decode(std::span<const text::TokenId> ids) const override {
    std::string text;
    for (const text::TokenId id : ids)
      text += static_cast<char>('a' + id);
    return text;
  }
  std::string piece(text::TokenId id) const override { return decode({&id, 1}); }
  std::int64_t vocab_size() const noexcept override { return kVocabulary; }
  text::TokenId bos_id() const noexcept override { return 0; }
  text::TokenId eos_id() const noexcept override { return eos; }
  bool adds_bos() const noexcept override { return true; }

  text::TokenId eos = -1;
};

}  // namespace pare::eval::testing
