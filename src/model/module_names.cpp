#include "model/module_names.h"

#include <algorithm>

namespace pare::model {
namespace {

constexpr std::array<std::string_view, 3> kQkv = {"q_proj", "k_proj", "v_proj"};
constexpr std::array<std::string_view, 2> kGateUp = {"gate_proj", "up_proj"};
constexpr std::array<std::string_view, 2> kW1W3 = {"w1", "w3"};
constexpr std::array<std::string_view, 3> kQueryKeyValue = {"query", "key", "value"};
constexpr std::array<std::string_view, 3> kWqkv = {"wq", "wk", "wv"};
constexpr std::array kFused = {FusedSet{kQkv, Site::attention_input},
                               FusedSet{kGateUp, Site::mlp_input}, FusedSet{kW1W3, Site::mlp_input},
                               FusedSet{kQueryKeyValue, Site::attention_input},
                               FusedSet{kWqkv, Site::attention_input}};

constexpr std::array<std::string_view, 7> kRowParallel = {
    "o_proj", "down_proj", "w2", "wo", "dense", "dense_4h_to_h", "out_proj"};
/// "head" stands in blocks, too: models that predict several tokens have one for each.
constexpr std::array<std::string_view, 2> kHeads = {"lm_head", "head"};
/// Names that other linears have inside blocks. Below some of them stand several linears.
constexpr std::array<std::string_view, 11> kHeadsBesideBlocks = {
    "output_layer", "embed_out",           "output",         "score",
    "classifier",   "classification_head", "qa_outputs",     "v_head",
    "value_head",   "reward_head",         "regression_head"};
constexpr std::array<std::string_view, 8> kNoLinear = {
    "embed", "wte", "wpe", "norm", "ln_", "rotary", "position", "relative_attention_bias"};

bool is_one_of(std::string_view word, std::span<const std::string_view> words) noexcept {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_number(std::string_view text) noexcept {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string_view parent_of(std::string_view module) noexcept {
  const std::size_t dot = module.rfind('.');
  return dot == std::string_view::npos ? "" : module.substr(0, dot + 1);
}

std::string_view last_name(std::string_view module) noexcept {
  return module.substr(parent_of(module).size());
}

std::optional<InBlock> in_block(std::string_view module) noexcept {
  std::size_t begin = 0;
  for (std::size_t dot = module.find('.'); dot != std::string_view::npos;
       dot = module.find('.', begin)) {
    if (begin > 0 && is_number(module.substr(begin, dot - begin)))
      return InBlock{module.substr(0, dot + 1), module.substr(dot + 1)};
    begin = dot + 1;
  }
  return std::nullopt;
}

std::span<const FusedSet> fused_sets() noexcept { return kFused; }

bool is_row_parallel(std::string_view module) noexcept {
  return is_one_of(last_name(module), kRowParallel);
}

bool is_head(std::string_view module) noexcept {
  if (is_one_of(last_name(module), kHeads)) return true;
  for (bool first = true; !module.empty(); first = false) {
    const std::string_view part = module.substr(0, module.find('.'));
    if (is_number(part) && !first) return false;  // inside a block from here on
    if (is_one_of(part, kHeadsBesideBlocks)) return true;
    module.remove_prefix(std::min(module.size(), part.size() + 1));
  }
  return false;
}

bool is_no_linear(std::string_view module) noexcept {
  if (is_head(module)) return false;
  const std::string_view last = last_name(module);
  return std::any_of(kNoLinear.begin(), kNoLinear.end(), [&](std::string_view word) {
    return last.find(word) != std::string_view::npos;
  });
}

}  // namespace pare::model
