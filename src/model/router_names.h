// Routers of mixtures of experts, told by name: the small linears that choose the experts, and the
// gates that weigh a shared one. Engines build them without quantization.
#pragma once

#include <string_view>

namespace pare::model {

/// "model.layers.3.mlp.gate", "…block_sparse_moe.router.layer", "…mlp.shared_expert_gate"; not the
/// gate of a gated MLP ("mlp.gate_proj"). Takes names of modules, not of tensors.
bool is_router_name(std::string_view module) noexcept;

}  // namespace pare::model
