#include "model/graph.h"

namespace pare::model {

LinearShape linear_shape(const ModelConfig& config, LinearRole role) noexcept {
  const AttentionConfig& a = config.attention;
  const std::int64_t d = config.hidden_size;
  const std::int64_t f = config.intermediate_size;
  switch (role) {
    case LinearRole::q: return {a.heads * a.head_dim, d, a.qkv_bias};
    case LinearRole::k:
    case LinearRole::v: return {a.kv_heads * a.head_dim, d, a.qkv_bias};
    case LinearRole::o: return {d, a.heads * a.head_dim, a.output_bias};
    case LinearRole::gate:
    case LinearRole::up: return {f, d, config.mlp_bias};
    case LinearRole::down: break;
  }
  return {d, f, config.mlp_bias};
}

}  // namespace pare::model
