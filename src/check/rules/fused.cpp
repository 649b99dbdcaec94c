// Rules about linears that engines join on loading: q, k and v; gate and up.
#include "check/rule_help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace pare::check {
namespace {

constexpr std::array kStaticLayouts = {kCt, kAscend, kAscendV1};

/// The members of one fused linear that the folder has.
struct Fusion {
  std::string parent;  // with the dot
  std::vector<const Linear*> quantized;
  std::vector<std::string> floats;
};

Fusion fusion_of(const Folder& folder, const std::string& parent, FusedNames names) {
  Fusion fusion;
  fusion.parent = parent;
  for (const std::string_view name : names) {
    const std::string module = parent + std::string(name);
    const Linear* linear = folder.linear(module);
    if (linear != nullptr)
      fusion.quantized.push_back(linear);
    else if (folder.weights().find(module + ".weight") != nullptr)
      fusion.floats.emplace_back(name);
  }
  return fusion;
}

/// Fused sets with at least one quantized member.
std::vector<Fusion> fusions_of(const Folder& folder) {
  std::vector<Fusion> fusions;
  for (const auto& [names, site] : fused_sets()) {
    std::set<std::string> parents;
    for (const Linear& linear : folder.linears()) {
      if (std::find(names.begin(), names.end(), last_name(linear.name)) != names.end())
        parents.emplace(parent_of(linear.name));
    }
    for (const std::string& parent : parents)
      fusions.push_back(fusion_of(folder, parent, names));
  }
  return fusions;
}

std::string settings_of(const Linear& linear) {
  if (!linear.type.empty()) return fmt::format("{} g{}", linear.type, linear.group_size());
  return fmt::format("{} bits g{}", linear.bits, linear.group_size());
}

void check_alike(const Subject& subject, Findings& findings) {
  for (const Fusion& fusion : fusions_of(subject.folder)) {
    std::vector<std::string> names;
    std::set<std::string> settings;
    for (const Linear* linear : fusion.quantized) {
      names.emplace_back(last_name(linear->name));
      settings.insert(settings_of(*linear));
    }
    if (!fusion.floats.empty()) {
      findings.fail(fusion.parent,
                    fmt::format("{} quantized, {} float", fmt::join(names, " and "),
                                fmt::join(fusion.floats, " and ")),
                    "quantize all of them or none: engines join them into one linear");
    } else if (settings.size() > 1) {
      findings.fail(fusion.parent,
                    fmt::format("{} differ: {}", fmt::join(names, ", "), fmt::join(settings, ", ")),
                    "quantize them with the same bits and group size: engines join them into one "
                    "linear");
    }
  }
}

/// Values of a one-number part over the members; NaN where it is absent.
std::set<float> values_over(const Folder& folder, const Fusion& fusion, const char* suffix) {
  std::set<float> values;
  for (const Linear* linear : fusion.quantized) {
    const std::vector<float> found = values_of(folder, linear->name + suffix);
    if (!found.empty() && found[0] == found[0]) values.insert(found[0]);
  }
  return values;
}

void check_inputs(const Subject& subject, Findings& findings) {
  for (const Fusion& fusion : fusions_of(subject.folder)) {
    for (const char* suffix : {".input_scale", ".input_offset", ".input_zero_point"}) {
      const std::set<float> values = values_over(subject.folder, fusion, suffix);
      if (values.size() < 2) continue;
      findings.fail(fusion.parent,
                    fmt::format("{} differs: {}", suffix + 1, fmt::join(values, ", ")),
                    "calibrate the members together and write identical values: engines keep one "
                    "of them for all");
    }
  }
}

constexpr std::array kRules = {
    Rule{"fused-alike",
         "linears that engines join are all float, or quantized alike",
         kQuantizedLayouts,
         {},
         "vllm and vllm-ascend: 'some but not all shards' are quantized",
         check_alike,
         kLinears},
    Rule{"fused-inputs",
         "joined linears with static activations have the same input scale and offset",
         kStaticLayouts,
         {},
         "vllm-ascend: the last one loaded wins; vllm takes the largest scale",
         check_inputs,
         kLinears},
};

}  // namespace

extern const RuleFamily fused_rules;
constinit const RuleFamily fused_rules = {"fused", kRules};

}  // namespace pare::check
