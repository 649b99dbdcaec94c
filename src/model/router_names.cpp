#include "model/router_names.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace pare::model {
namespace {

/// Names that nothing but a router has, wherever they stand.
constexpr std::array<std::string_view, 9> kRouters = {
    "router",       "router_gate", "moe_gate",           "gate_network",       "gating_network",
    "routing_gate", "expert_gate", "shared_expert_gate", "shared_experts_gate"};
/// What holds experts; "block_sparse_moe", "moe_block" and the like are told by "moe".
constexpr std::array<std::string_view, 4> kHolders = {"mlp", "feed_forward", "ffn", "mixer"};

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) noexcept {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The last part of a dotted name, which is taken off.
std::string_view take_last(std::string_view& name) noexcept {
  const std::size_t dot = name.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
  name = dot == std::string_view::npos ? "" : name.substr(0, dot);
  return last;
}

bool holds_experts(std::string_view part) noexcept {
  return is_one_of(part, kHolders) || part.find("moe") != std::string_view::npos;
}

}  // namespace

bool is_router_name(std::string_view module) noexcept {
  const std::string_view last = take_last(module);
  const std::string_view above = take_last(module);
  const std::string_view above_that = take_last(module);
  if (is_one_of(last, kRouters) || above == "router") return true;
  if (last == "gate") return holds_experts(above);
  return above == "gate" && last == "wg" && holds_experts(above_that);
}

}  // namespace pare::model
