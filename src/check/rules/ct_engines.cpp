// What vLLM and vLLM-Ascend run of what compressed-tensors can say.
// Source: docs/formats/compressed-tensors.md
#include "check/layouts/ct_groups.h"
#include "check/rule_help.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array kCtOnly = {kCt};
constexpr std::array<std::string_view, 1> kVllm = {"vllm"};
constexpr std::array<std::string_view, 1> kVllmAscend = {"vllm-ascend"};

/// As the format says, and where nothing says it, as the linears of the group are.
bool is_packed(const Folder& folder, const std::vector<CtGroup>& groups, const CtGroup& group) {
  if (!group.format.empty()) return group.format == "pack-quantized";
  return std::any_of(folder.linears().begin(), folder.linears().end(), [&](const Linear& linear) {
    return group_of(groups, linear.name) == &group &&
           folder.weights().find(linear.name + ".weight_packed") != nullptr;
  });
}

void check_vllm(const Subject& subject, Findings& findings) {
  const std::vector<CtGroup> groups = ct_groups(subject.folder);
  for (const CtGroup& group : groups) {
    if (!group.weights || !has_rules_for(group.format)) continue;
    const bool packed = is_packed(subject.folder, groups, group);
    if (!group.inputs && !packed)
      findings.fail(group.name, "int8 codes without activations",
                    "pare convert DIR --to compressed-tensors packs them: vLLM has no scheme for "
                    "unpacked int8 weights alone");
    if (group.inputs && !group.weights->symmetric)
      findings.fail(group.name, "asymmetric weights with int8 activations",
                    "quantize the weights symmetrically: vLLM takes no other W8A8 weights");
    if (packed && group.weights->bits != 4 && group.weights->bits != 8)
      findings.fail(group.name, fmt::format("{} bits", group.weights->bits), "use 4 or 8 bits");
  }
}

/// "" when vLLM-Ascend has a scheme for dense linears of the group.
std::string refused_by_ascend(const CtGroup& group) {
  if (!group.weights) return "no weights";
  if (!group.inputs) return "float activations: only experts are served so";
  if (group.weights->bits != 8 || group.inputs->bits != 8) return "not 8 bits on both sides";
  if (!group.weights->symmetric || !group.inputs->symmetric) return "asymmetric";
  if (group.weights->strategy != "channel")
    return "weights with strategy " + group.weights->strategy;
  return "";
}

void check_vllm_ascend(const Subject& subject, Findings& findings) {
  for (const CtGroup& group : ct_groups(subject.folder)) {
    if (!has_rules_for(group.format)) continue;  // ct-format
    const std::string reason = refused_by_ascend(group);
    if (reason.empty()) continue;
    findings.fail(
        group.name, reason,
        "pare convert DIR --to ascend-v1: of this layout vLLM-Ascend runs symmetric W8A8 alone");
  }
}

constexpr std::array kRules = {
    Rule{"ct-vllm-scheme", "vLLM has a scheme for every group", kCtOnly, kVllm,
         "vLLM, compressed_tensors.py, _get_scheme_from_parts", check_vllm, kSettings},
    Rule{"ct-vllm-ascend-scheme", "vLLM-Ascend has a scheme for every group", kCtOnly, kVllmAscend,
         "vllm_ascend/quantization/compressed_tensors_config.py", check_vllm_ascend, kSettings},
};

}  // namespace

extern const RuleFamily ct_engines_rules;
constinit const RuleFamily ct_engines_rules = {"ct_engines", kRules};

}  // namespace pare::check
