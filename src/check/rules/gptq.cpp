// Rules about the configuration of GPTQ files. Source: docs/formats/gptq.md
#include "check/layouts/gptq_settings.h"
#include "check/rule_help.h"
#include "model/router_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array kGptqOnly = {kGptq};
constexpr std::array<std::string_view, 1> kGptqmodel = {"gptqmodel"};
constexpr const char* kOwnFile = "quantize_config.json";

void check_keys(const Subject& subject, Findings& findings) {
  constexpr std::array<std::string_view, 4> kNeeded = {"bits", "group_size", "desc_act", "sym"};
  for (const std::string_view key : kNeeded) {
    if (member(subject.folder.quantization(), key) != nullptr) continue;
    findings.fail(
        config_place(subject.folder), fmt::format("\"{}\" is absent", key),
        fmt::format("state {}: vLLM demands it, AutoGPTQ assumes desc_act and sym true and "
                    "group_size -1",
                    key));
  }
}

void check_bits(const Subject& subject, Findings& findings) {
  const io::Json* whole = member(subject.folder.quantization(), "bits");
  if (whole == nullptr) return findings.not_looked_at("bits is not stated");
  for (const Linear& linear : subject.folder.linears()) {
    const auto stated = stated_for(subject.folder, linear.name, "bits");
    if (linear.bits == 0 || may_be_stated(stated, linear.bits)) continue;
    findings.fail(linear.name,
                  fmt::format("bits is {}, the words hold {}", shown(stated.front()), linear.bits),
                  fmt::format("set bits to {}", linear.bits));
  }
}

void check_files_agree(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const JsonFile& own = folder.json(kOwnFile);
  if (!own.exists) {
    findings.warn(
        kOwnFile, "it is not there",
        "write the quantization_config of config.json into it: AutoGPTQ opens no other file");
    return;
  }
  if (!own.problem.empty())
    return findings.fail(kOwnFile, own.problem,
                         "write the quantization_config of config.json into it");
  if (folder.quantization_file() != "config.json")
    return findings.not_looked_at("config.json has no quantization_config");
  constexpr std::array<std::string_view, 7> kKeys = {
      "bits", "group_size", "desc_act", "sym", "quant_method", "checkpoint_format", "lm_head"};
  for (const std::string_view key : kKeys) {
    const io::Json* there = member(own.json, key);
    const io::Json* here = member(folder.quantization(), key);
    if (there == nullptr || here == nullptr || *there == *here) continue;
    findings.fail(
        kOwnFile,
        fmt::format("{} is {} here and {} in config.json", key, shown(there), shown(here)),
        "write the same object into both files: engines differ in which one they read");
  }
}

void check_base_name(const Subject& subject, Findings& findings) {
  const auto base = text_of(member(subject.folder.quantization(), "model_file_base_name"));
  if (!base) return;
  const auto& files = subject.folder.weights().files;
  const bool found = std::any_of(files.begin(), files.end(), [&](const WeightFile& file) {
    return file.name == *base + ".safetensors" || file.name.starts_with(*base + "-0");
  });
  if (found || files.empty()) return;
  findings.fail(
      config_place(subject.folder),
      fmt::format("model_file_base_name is \"{}\", and no weight file is called so", *base),
      "set model_file_base_name to the name of the weight files: \"model\"");
}

void check_head(const Subject& subject, Findings& findings) {
  const auto& linears = subject.folder.linears();
  const bool quantized =
      std::any_of(linears.begin(), linears.end(), [](const Linear& l) { return is_head(l.name); });
  const bool stated = config_flag(subject.folder, "lm_head").value_or(false);
  if (quantized == stated) return;
  findings.fail(config_place(subject.folder),
                quantized ? "the head is quantized, lm_head is not true"
                          : "lm_head is true, the head is float",
                fmt::format("set lm_head to {}", quantized));
}

/// "model\.layers\.3\.mlp" without the marks of a regular expression; "" when it is more than a
/// name.
std::string plain_name(std::string_view rule) {
  rule.remove_prefix(std::min<std::size_t>(2, rule.size()));
  std::string name;
  for (std::size_t i = 0; i < rule.size(); ++i) {
    if (rule[i] == '^' || rule[i] == '$') continue;
    if (rule[i] == '\\' && i + 1 < rule.size() && rule[i + 1] == '.')
      ++i;
    else if (std::string_view("[](){}*+?|\\").find(rule[i]) != std::string_view::npos)
      return "";
    name += rule[i];
  }
  return name;
}

/// Whether rules of GPTQModel ("-:regex") may skip the module; what is more than a name counts as
/// yes.
bool may_be_skipped(const io::Json* dynamic, const std::string& module) {
  if (dynamic == nullptr || !dynamic->is_object()) return false;
  for (const auto& [rule, settings] : dynamic->items()) {
    if (!rule.starts_with("-:")) continue;
    const std::string name = plain_name(rule);
    if (name.empty() || module.find(name) != std::string::npos) return true;
  }
  return false;
}

void check_skipped(const Subject& subject, Findings& findings) {
  const io::Json* dynamic = member(subject.folder.quantization(), "dynamic");
  for (const std::string& name : float_linears_in_blocks(subject.folder)) {
    if (may_be_skipped(dynamic, name) || model::is_router_name(name)) continue;
    findings.fail(name, "it is float, and no rule of \"dynamic\" skips it",
                  fmt::format("add \"-:^{}$\": {{}} to \"dynamic\"", name));
  }
}

constexpr std::array kRules = {
    Rule{"gptq-keys",
         "bits, group_size, desc_act and sym are stated",
         kGptqOnly,
         {},
         "vLLM, GPTQConfig.from_config; AutoGPTQ's defaults",
         check_keys,
         kSettings},
    Rule{"gptq-bits",
         "bits is what the words hold",
         kGptqOnly,
         {},
         "loaders unpack by it",
         check_bits,
         kSettings | kLinears},
    Rule{"gptq-files-agree",
         "quantize_config.json says what config.json says",
         kGptqOnly,
         {},
         "AutoGPTQ reads quantize_config.json alone, GPTQModel first, vLLM config.json first",
         check_files_agree,
         kSettings},
    Rule{"gptq-base-name",
         "model_file_base_name is the name of the weight files",
         kGptqOnly,
         {},
         "AutoGPTQ, from_quantized",
         check_base_name,
         kSettings},
    Rule{"gptq-lm-head",
         "lm_head says whether the head is quantized",
         kGptqOnly,
         {},
         "GPTQModel and vLLM replace the head by it",
         check_head,
         kSettings | kLinears},
    Rule{"gptq-skipped", "\"dynamic\" skips every float linear in the blocks", kGptqOnly,
         kGptqmodel, "GPTQModel 7.3.4, QuantizeConfig.dynamic", check_skipped,
         kSettings | kTensors},
};

}  // namespace

extern const RuleFamily gptq_rules;
constinit const RuleFamily gptq_rules = {"gptq", kRules};

}  // namespace pare::check
