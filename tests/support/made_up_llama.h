// A made-up model that its config.json describes: for layouts that ask what the parts are.
#pragma once

#include "io/file.h"
#include "quant/named_schemes.h"
#include "support/made_up_model.h"

#include <cmath>
#include <memory>
#include <string>

namespace pare::test {

/// LLaMA with one block of hidden size 64, two heads and one key-value head of 4 columns each.
inline io::Json made_up_llama_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", 10},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 1},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 1},
          {"head_dim", 4},
          {"max_position_embeddings", 32},
          {"attention_bias", true}};
}

inline void describe_model(MadeUpModel& model, const io::Json& config) {
  model.source = std::make_shared<TemporaryFolder>();
  model.plan.source = model.source->path();
  io::write_text(model.plan.source / "config.json", config.dump());
}

/// Scales of few digits, whose products with a zero point are exact in F16.
inline void coarsen_scales(quant::QuantizedLinear& q) {
  for (float& scale : q.scales)
    scale = std::max(1.0F, std::nearbyint(scale * 1024)) / 1024;
}

/// Quantized: q with a bias, o and up. Float: k and everything else.
inline MadeUpModel made_up_llama(const quant::Scheme& scheme, DType dtype,
                                 const MadeUpOptions& options = {}) {
  const DType of_linears = options.linear_dtype.value_or(dtype);
  Rng rng(7);
  MadeUpModel model;
  model.plan.scheme_tag = quant::scheme_tag_of(scheme);
  model.plan.model_dtype = dtype;
  model.plan.group_size = scheme.group_size;
  const std::string block = "model.layers.0.";
  const auto add = [&](const std::string& name, std::int64_t out, std::int64_t in, bool bias) {
    quant::QuantizedLinear q =
        made_up_linear(rng, block + name, scheme, out, in, of_linears, bias);
    coarsen_scales(q);
    model.add_linear(std::move(q));
  };
  model.add_tensor("model.embed_tokens.weight", float_tensor(rng, dtype, {10, 64}));
  add("self_attn.q_proj", 8, 64, true);
  model.add_tensor(block + "self_attn.k_proj.weight", float_tensor(rng, dtype, {4, 64}));
  model.add_tensor(block + "self_attn.k_proj.bias", float_tensor(rng, dtype, {4}));
  add("self_attn.o_proj", 64, 64, false);
  add("mlp.up_proj", 128, 64, false);
  model.add_tensor(block + "input_layernorm.weight", float_tensor(rng, dtype, {64}));
  model.add_tensor("model.norm.weight", float_tensor(rng, dtype, {64}));
  describe_model(model, made_up_llama_config());
  return model;
}

}  // namespace pare::test
