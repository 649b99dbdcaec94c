#include "layouts/gguf/model.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <utility>

namespace pare::layout {
namespace {

using model::Role;

std::string_view name_of_role(Role role) noexcept {
  switch (role) {
    case Role::embedding: return "token_embd";
    case Role::q: return "attn_q";
    case Role::k: return "attn_k";
    case Role::v: return "attn_v";
    case Role::o: return "attn_output";
    case Role::q_norm: return "attn_q_norm";
    case Role::k_norm: return "attn_k_norm";
    case Role::gate: return "ffn_gate";
    case Role::up: return "ffn_up";
    case Role::down: return "ffn_down";
    case Role::input_norm: return "attn_norm";
    case Role::mlp_norm: return "ffn_norm";
    case Role::final_norm: return "output_norm";
    case Role::head: break;
  }
  return "output";
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
  for (const model::Module& module : graph_.modules) add(module);
}

std::int64_t GgufModel::rotary_heads(const model::Module& module) const noexcept {
  if (!traits_.interleaved_rotary) return 0;
  if (module.role == Role::q) return graph_.config.attention.heads;
  return module.role == Role::k ? graph_.config.attention.kv_heads : 0;
}

void GgufModel::add(const model::Module& module) {
  std::string name(name_of_role(*module.role));
  if (module.block != model::kNoBlock) name = fmt::format("blk.{}.{}", module.block, name);
  names_.emplace(name, module.name);
  const bool reads_attention_input = module.kind == model::ModuleKind::linear &&
                                     module.site == model::Site::attention_input;
  modules_.emplace(module.name, GgufModule{std::move(name), rotary_heads(module),
                                           reads_attention_input});
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
