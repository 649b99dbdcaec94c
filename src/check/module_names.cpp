#include "check/module_names.h"

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array<std::string_view, 3> kQkv = {"q_proj", "k_proj", "v_proj"};
constexpr std::array<std::string_view, 2> kGateUp = {"gate_proj", "up_proj"};
constexpr std::array<std::string_view, 2> kW1W3 = {"w1", "w3"};
constexpr std::array<FusedNames, 3> kFused = {kQkv, kGateUp, kW1W3};

constexpr std::array<std::string_view, 6> kRowParallel = {"o_proj", "down_proj",     "w2",
                                                          "dense",  "dense_4h_to_h", "out_proj"};
constexpr std::array<std::string_view, 4> kHeads = {"lm_head", "output_layer", "embed_out",
                                                    "score"};
constexpr std::array<std::string_view, 7> kNoLinear = {"embed", "wte",    "wpe",     "norm",
                                                       "ln_",   "rotary", "position"};

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

std::span<const FusedNames> fused_sets() noexcept { return kFused; }

bool is_row_parallel(std::string_view module) noexcept {
  return is_one_of(last_name(module), kRowParallel);
}

bool is_head(std::string_view module) noexcept { return is_one_of(last_name(module), kHeads); }

bool is_no_linear(std::string_view module) noexcept {
  if (is_head(module)) return false;
  const std::string_view last = last_name(module);
  return std::any_of(kNoLinear.begin(), kNoLinear.end(), [&](std::string_view word) {
    return last.find(word) != std::string_view::npos;
  });
}

}  // namespace pare::check
