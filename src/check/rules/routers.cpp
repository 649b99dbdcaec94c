// The rule about routers of a mixture of experts. They are told by name, and count as routers only
// in models that have experts.
#include "check/rule_help.h"
#include "model/router_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array kAll = {kEveryTarget};

bool has_experts(const Folder& folder) {
  const auto& tensors = folder.weights().tensors;
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& entry) {
    return entry.first.find("expert") != std::string::npos ||
           entry.first.find("moe") != std::string::npos;
  });
}

/// The same router in every block.
std::string pattern_of(const std::string& module) {
  const auto inside = in_block(module);
  return inside ? "*." + std::string(inside->name) : module;
}

void check_routers(const Subject& subject, Findings& findings) {
  if (!has_experts(subject.folder)) return;
  const Target& target = *subject.target;
  for (const Linear& linear : subject.folder.linears()) {
    if (!model::is_router_name(linear.name)) continue;
    const std::string fix =
        fmt::format("quantize the float model again and keep it: --disable-names \"{}\"; {}",
                    pattern_of(linear.name),
                    target.builds_float_routers
                        ? "the engine builds routers without quantization"
                        : "it decides which experts are asked, and other engines need it in float");
    findings.add({target.builds_float_routers ? Verdict::fail : Verdict::warn, linear.name,
                  "it is a router and quantized", fix});
  }
}

constexpr std::array kRules = {
    Rule{"router-float", "routers of a mixture of experts are float", kQuantizedLayouts, kAll,
         "vLLM and vLLM-Ascend, MoE models: their gates are built without quant_config; GPTQModel, "
         "definitions of MoE models",
         check_routers, kLinears},
};

}  // namespace

extern const RuleFamily routers_rules;
constinit const RuleFamily routers_rules = {"routers", kRules};

}  // namespace pare::check
