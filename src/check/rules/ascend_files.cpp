// File names and keys by which MindIE and vLLM-Ascend find Ascend's layouts.
// Source: docs/formats/ascend.md
#include "check/layouts/ascend_types.h"
#include "check/rule_help.h"
#include "layouts/ascend/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace pare::check {
namespace {

constexpr std::array kLegacyOnly = {kAscend};
constexpr std::array kV1Only = {kAscendV1};
constexpr std::array kBoth = {kAscend, kAscendV1};
constexpr std::array<std::string_view, 1> kMindie = {"mindie"};
constexpr std::array<std::string_view, 1> kVllmAscend = {"vllm-ascend"};

std::string type_in_names(const Folder& folder) {
  const auto type = text_of(member(folder.description(), "model_quant_type"));
  return type ? layout::lower_case(*type) : "";
}

void check_names(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const std::string type = type_in_names(folder);
  if (type.empty()) return findings.not_looked_at("the description names no type of the model");
  const std::string description = fmt::format("quant_model_description_{}.json", type);
  if (!folder.has(description))
    findings.fail(folder.descriptions().front(), fmt::format("the model is {}", type),
                  fmt::format("rename it to {}", description));
  const std::string weights = "quant_model_weight_" + type;
  for (const WeightFile& file : folder.weights().files) {
    const bool fits = file.name == weights + ".safetensors" || file.name.starts_with(weights + "-");
    if (file.chosen && !fits)
      findings.fail(
          file.name, fmt::format("the model is {}", type),
          fmt::format("rename it to {}.safetensors (or -00001-of-0000N for shards)", weights));
  }
}

void check_quantize_key(const Subject& subject, Findings& findings) {
  const std::string type = type_in_names(subject.folder);
  const io::Json* stated = member(subject.folder.config(), "quantize");
  if (type.empty()) return findings.not_looked_at("the description names no type of the model");
  if (text_of(stated) == type) return;
  findings.fail("config.json", fmt::format("\"quantize\" is {}", shown(stated)),
                fmt::format("set \"quantize\" of config.json to \"{}\"", type));
}

void check_mindie_group(const Subject& subject, Findings& findings) {
  const auto stated = config_integer(subject.folder, "group_size").value_or(0);
  for (const Linear& linear : subject.folder.linears()) {
    const std::int64_t size = linear.group_size();
    if (size == 0 || size == stated) continue;
    findings.fail(linear.name,
                  fmt::format("it has groups of {}, quantization_config says {}", size, stated),
                  fmt::format("set quantization_config.group_size of config.json to {}", size));
    return;  // one size for all
  }
}

/// Sizes that config.json gives a linear; inputs 0 when the architecture is not known.
std::int64_t inputs_from_config(const Folder& folder, const std::string& name) {
  if (!folder.graph()) return 0;
  for (const model::Module& module : folder.graph()->modules) {
    if (module.kind == model::ModuleKind::linear && module.name == name) return module.in();
  }
  return 0;
}

void check_nibbles(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const bool legacy = folder.layout() == kAscend;
  for (const Linear& linear : folder.linears()) {
    const StoredTensor* weight = folder.weights().find(linear.name + ".weight");
    const std::int64_t expected = inputs_from_config(folder, linear.name);
    if (linear.bits != 4 || linear.type == "W4A4_DYNAMIC" || weight->info.shape.rank() != 2)
      continue;
    const bool fewer_inputs = expected > 0 && weight->info.shape[1] * 2 == expected;
    const bool packed = linear.nibbles == Nibbles::paired_outputs || fewer_inputs;
    if (legacy && packed)
      findings.fail(
          linear.name, "its 4-bit codes lie two to a byte, in files named as the first layout",
          "name the description quant_model_description.json with version 1.0.0, or unpack the "
          "codes: pare convert does both");
    if (legacy || packed || linear.nibbles == Nibbles::paired_inputs) continue;
    findings.fail(
        linear.name, "its 4-bit codes lie one to a byte, in a description of version 1.0.0",
        "pare convert DIR --to ascend-v1 packs them, from a folder labelled as the first layout");
  }
}

/// Per type one finding, for the first linear that has it.
void check_served(const Subject& subject, Findings& findings) {
  std::map<std::string, std::string> first;
  for (const Linear& linear : subject.folder.linears())
    first.emplace(linear.type, linear.name);
  for (const auto& [name, linear] : first) {
    const AscendType* type = find_ascend_type(name);
    if (type == nullptr) {
      findings.no_rules(linear, "linears of the type " + name);
      continue;
    }
    const Served served = type->served;
    if (served == Served::never)
      findings.fail(linear, fmt::format("{} linears: vLLM-Ascend has no scheme for them", name),
                    "quantize to w8a8, w8a8-dynamic or w8a16 for vLLM-Ascend; W4A16 is for MindIE "
                    "and GPU engines");
    if (served == Served::only_310p)
      findings.warn(linear, fmt::format("{} linears", name), "it runs on Atlas 300I only");
    if (served == Served::only_old)
      findings.warn(linear, fmt::format("{} linears", name),
                    "use a release up to v0.25.1rc1: main dropped dense linears of this type");
  }
}

void check_w8a16(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  for (const Linear& linear : folder.linears()) {
    if (linear.type != "W8A16") continue;
    if (linear.groups > 1)
      findings.fail(linear.name, fmt::format("W8A16 in groups of {}", linear.group_size()),
                    "quantize with one scale per row: leave --group-size out");
    const std::vector<float> offsets = values_of(folder, linear.name + ".weight_offset");
    if (std::any_of(offsets.begin(), offsets.end(), [](float v) { return v != 0; }))
      findings.fail(linear.name, "W8A16 with zero points",
                    "quantize symmetrically: the sign of weight_offset differs between engines");
  }
}

void check_head(const Subject& subject, Findings& findings) {
  for (const char* name : {"lm_head.weight", "model.embed_tokens.weight"}) {
    if (subject.folder.description().contains(name)) continue;
    const bool tied = std::string_view(name) == "lm_head.weight" && has_tied_head(subject.folder);
    const std::string fix = fmt::format("add \"{}\": \"FLOAT\" to the description", name);
    if (tied)
      findings.warn(
          name, "the head is tied and has no entry",
          fix + " and a copy of the embedding to the weights, if the engine stops with a KeyError");
    else
      findings.fail(name, "it has no entry", fix);
  }
}

constexpr std::array kRules = {
    Rule{"ascend-file-names",
         "description and weights have the type of the model in their names",
         kLegacyOnly,
         {},
         "MindIE finds the files by it",
         check_names,
         kDescription},
    Rule{"mindie-quantize-key", "config.json has the type of the model under \"quantize\"",
         kLegacyOnly, kMindie, "MindIE chooses its loader by it", check_quantize_key,
         kDescription | kConfig},
    Rule{"mindie-group-size", "group_size in config.json is what the scales mean", kLegacyOnly,
         kMindie, "MindIE allocates scales by it", check_mindie_group, kConfig | kLinears},
    Rule{"int4-packing",
         "4-bit codes lie as the name of the description says",
         kBoth,
         {},
         "one to a byte in the first layout, two in version 1.0.0",
         check_nibbles,
         kLinears},
    Rule{"vllm-ascend-served", "vLLM-Ascend has a scheme for every type", kV1Only, kVllmAscend,
         "vllm-ascend main 182b75e, quantization/methods", check_served, kLinears},
    Rule{"vllm-ascend-w8a16", "W8A16 linears have one scale per row and no zero points", kV1Only,
         kVllmAscend, "vllm-ascend, methods/w8a16.py", check_w8a16, kLinears},
    Rule{"vllm-ascend-head", "head and embedding are in the description", kV1Only, kVllmAscend,
         "vllm_ascend/quantization/modelslim_config.py looks up every linear and embedding",
         check_head, kDescription | kGraph},
};

}  // namespace

extern const RuleFamily ascend_files_rules;
constinit const RuleFamily ascend_files_rules = {"ascend_files", kRules};

}  // namespace pare::check
