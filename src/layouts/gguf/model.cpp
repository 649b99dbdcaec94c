#include "layouts/gguf/model.h"

#include "core/error.h"

#include <fmt/format.h>

#include <utility>

namespace pare::layout {
namespace {

using model::LinearRole;

std::string_view name_of_role(LinearRole role) noexcept {
  switch (role) {
    case LinearRole::q: return "attn_q";
    case LinearRole::k: return "attn_k";
    case LinearRole::v: return "attn_v";
    case LinearRole::o: return "attn_output";
    case LinearRole::gate: return "ffn_gate";
    case LinearRole::up: return "ffn_up";
    case LinearRole::down: break;
  }
  return "ffn_down";
}

std::pair<std::string_view, std::string_view> split_tensor(std::string_view tensor) noexcept {
  const std::size_t dot = tensor.rfind('.');
  if (dot == std::string_view::npos) return {tensor, {}};
  return {tensor.substr(0, dot), tensor.substr(dot)};
}

}  // namespace

GgufModel::GgufModel(const std::filesystem::path& folder) : graph_(model::read_graph(folder)) {
  const model::Architecture* arch = model::find_architecture(graph_.config.architecture);
  if (arch != nullptr) traits_ = arch->gguf;
  if (traits_.architecture.empty()) {
    throw Error(ErrorCode::unknown_architecture,
                fmt::format("{} has no name in GGUF files", graph_.config.architecture))
        .at((folder / "config.json").string())
        .hint("choose --format compressed-tensors or gptq");
  }
  add(graph_.embedding, "token_embd");
  add(graph_.final_norm, "output_norm");
  add(graph_.head, "output");
  for (std::size_t i = 0; i < graph_.blocks.size(); ++i)
    add_block(graph_.blocks[i], i);
}

void GgufModel::add(const std::string& module, std::string name, std::int64_t rotary_heads) {
  if (module.empty()) return;
  names_.emplace(name, module);
  modules_.emplace(module, GgufModule{std::move(name), rotary_heads});
}

void GgufModel::add_block(const model::BlockNames& names, std::size_t block) {
  const std::string prefix = fmt::format("blk.{}.", block);
  const model::AttentionConfig& attention = graph_.config.attention;
  for (const LinearRole role : model::kLinearRoles) {
    std::int64_t heads = 0;
    if (traits_.interleaved_rotary && role == LinearRole::q) heads = attention.heads;
    if (traits_.interleaved_rotary && role == LinearRole::k) heads = attention.kv_heads;
    add(names.linear(role), prefix + std::string(name_of_role(role)), heads);
  }
  add(names.input_norm, prefix + "attn_norm");
  add(names.mlp_norm, prefix + "ffn_norm");
  add(names.q_norm, prefix + "attn_q_norm");
  add(names.k_norm, prefix + "attn_k_norm");
}

const GgufModule* GgufModel::find(std::string_view module) const noexcept {
  const auto found = modules_.find(module);
  return found == modules_.end() ? nullptr : &found->second;
}

const GgufModule* GgufModel::find_of_tensor(std::string_view tensor) const noexcept {
  const auto [module, suffix] = split_tensor(tensor);
  return suffix == ".weight" || suffix == ".bias" ? find(module) : nullptr;
}

std::string GgufModel::gguf_name(std::string_view tensor) const {
  const auto [module, suffix] = split_tensor(tensor);
  const GgufModule* found = find(module);
  if (found == nullptr) {
    throw Error(ErrorCode::internal, fmt::format("{} has no name in GGUF files", tensor));
  }
  return std::string(found->name).append(suffix);
}

std::string GgufModel::model_name(std::string_view gguf_tensor) const {
  const auto [module, suffix] = split_tensor(gguf_tensor);
  const auto found = names_.find(module);
  const bool known = found != names_.end() && (suffix == ".weight" || suffix == ".bias");
  return known ? std::string(found->second).append(suffix) : "";
}

std::string GgufModel::refuses() const {
  const model::ModelConfig& config = graph_.config;
  const model::AttentionConfig& a = config.attention;
  if (!traits_.free_head_size && a.heads * a.head_dim != config.hidden_size) {
    return fmt::format(
        "llama.cpp's {} needs heads that divide the hidden size {} among them, not {} of {}",
        traits_.architecture, config.hidden_size, a.heads, a.head_dim);
  }
  if (config.rope.scaling == model::RopeScaling::llama3 && !traits_.rotary_factors) {
    return fmt::format("llama.cpp's {} has no place for rotary scaling of type llama3",
                       traits_.architecture);
  }
  return "";
}

}  // namespace pare::layout
