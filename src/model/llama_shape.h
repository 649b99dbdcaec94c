// The LLaMA-shaped decoder: one reader of its config and one naming of its modules, with what
// differs between its relatives as data.
#pragma once

#include "model/graph.h"

namespace pare::model {

/// What a relative assumes where config.json is silent, and what it fixes.
struct LlamaTraits {
  std::int64_t vocab_size = 32000;
  std::int64_t hidden_size = 4096;
  std::int64_t intermediate_size = 11008;
  std::int64_t layers = 32;
  std::int64_t heads = 32;
  std::int64_t kv_heads = 0;  // 0 = as many as query heads
  std::int64_t head_dim = 0;  // 0 = hidden_size / heads
  std::int64_t max_positions = 2048;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  bool tied_head = false;
  bool attention_bias_key = false;  // `attention_bias` switches biases on q, k, v and o
  bool always_qkv_bias = false;
  bool mlp_bias_key = false;
  bool qk_norm = false;
};

/// Shapes, biases, rotary embedding and head from config.json; windows are left at 0.
/// Errors: bad_config (impossible sizes), feature_not_supported (activation, rope type).
ModelConfig read_llama_config(const ConfigReader& config, const LlamaTraits& traits);

/// model.embed_tokens, model.layers.N.…, model.norm, lm_head.
ModelGraph llama_graph(ModelConfig config);

/// The window rule of the Qwen models: `layer_types` when given, else layers from
/// `max_window_layers` on when `use_sliding_window`.
void apply_qwen_windows(const ConfigReader& config, ModelConfig& model);

}  // namespace pare::model
