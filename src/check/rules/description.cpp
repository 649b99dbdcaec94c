// Rules about the quant_model_description of Ascend's layouts. Source: docs/formats/ascend.md
#include "layouts/ascend/description.h"

#include "check/layouts/ascend_types.h"
#include "check/rule_help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace pare::check {
namespace {

constexpr std::array kBoth = {kAscend, kAscendV1};
constexpr std::array kV1Only = {kAscendV1};
constexpr const char* kSource = "msmodelslim 3de0a3c, quant_model_description";
constexpr const char* kAgain =
    "write the folder again: description and weights come from different saves";

std::string file_of(const Folder& folder) {
  return folder.descriptions().empty() ? "quant_model_description.json"
                                       : folder.descriptions().front();
}

void check_readable(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  if (folder.descriptions().empty())
    return findings.fail(
        "", "there is no quant_model_description*.json",
        "fetch it from where the weights came from: the types of all tensors are in it");
  if (folder.descriptions().size() > 1)
    findings.fail("", fmt::format("there are several: {}", fmt::join(folder.descriptions(), ", ")),
                  "keep the one that belongs to the weights");
  const JsonFile& file = folder.json(folder.descriptions().front());
  if (!file.problem.empty())
    return findings.fail(file_of(folder), file.problem, "fetch the file again");
  const auto type = text_of(member(file.json, "model_quant_type"));
  if (!type)
    findings.fail(file_of(folder), "model_quant_type is absent",
                  "add \"model_quant_type\": the type of the model, such as \"W8A8\"");
}

/// Keys of the whole model have no dot; newer tools add some that Pare does not know.
bool names_a_tensor(std::string_view key) {
  return !layout::is_header_key(key) && key.find('.') != std::string_view::npos;
}

void check_names(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  std::vector<std::string> unlisted;
  for (const auto& [name, tensor] : folder.weights().tensors) {
    if (!folder.description().contains(name)) unlisted.push_back(name);
  }
  std::vector<std::string> absent;
  for (const auto& [name, type] : folder.description().items()) {
    if (names_a_tensor(name) && folder.weights().find(name) == nullptr) absent.push_back(name);
  }
  if (!unlisted.empty())
    findings.fail(file_of(folder),
                  fmt::format("{} tensors have no entry: {}", unlisted.size(), some_of(unlisted)),
                  kAgain);
  if (!absent.empty())
    findings.fail(file_of(folder),
                  fmt::format("{} entries have no tensor: {}", absent.size(), some_of(absent)),
                  kAgain);
}

bool is_known(const std::string& type) {
  constexpr std::array<std::string_view, 3> kOthers = {"FLOAT", "C8", "W8A8SC"};
  if (find_ascend_type(type) != nullptr) return true;
  return std::find(kOthers.begin(), kOthers.end(), type) != kOthers.end();
}

void check_types(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  std::set<std::string> unknown;
  for (const auto& [name, type] : folder.description().items()) {
    if (!names_a_tensor(name)) continue;
    if (!type.is_string())
      findings.fail(name, fmt::format("its type is {}", shown(&type)),
                    "types are texts, such as \"FLOAT\" and \"W8A8\"");
    else if (!is_known(type.get<std::string>()))
      unknown.insert(type.get<std::string>());
  }
  for (const std::string& type : unknown)
    findings.no_rules(file_of(folder), "linears of the type " + type);
}

/// Types of the parts of one linear, the float bias left out.
std::set<std::string> types_of(const Folder& folder, const Linear& linear) {
  std::set<std::string> types;
  for (const layout::Part part : layout::kParts) {
    if (part == layout::Part::bias) continue;
    const auto type = text_of(member(folder.description(), layout::tensor_name(linear.name, part)));
    if (type) types.insert(*type);
  }
  return types;
}

void check_one_type(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    const std::set<std::string> types = types_of(subject.folder, linear);
    if (types.size() < 2) continue;
    findings.fail(linear.name, fmt::format("its parts are {}", fmt::join(types, " and ")),
                  "give all parts of a linear but its bias one type in the description");
  }
}

void check_version(const Subject& subject, Findings& findings) {
  const io::Json* version = member(subject.folder.description(), "version");
  if (text_of(version) == layout::kVersion) return;
  const auto& linears = subject.folder.linears();
  const bool four_bits =
      std::any_of(linears.begin(), linears.end(), [](const Linear& l) { return l.bits == 4; });
  findings.add({four_bits ? Verdict::fail : Verdict::warn, file_of(subject.folder),
                fmt::format("version is {}", shown(version)),
                "set version to \"1.0.0\" when 4-bit codes lie two to a byte, or there are none"});
}

void check_group_size(const Subject& subject, Findings& findings) {
  const auto stated = integer_of(member(subject.folder.description(), "group_size"));
  for (const Linear& linear : subject.folder.linears()) {
    if (linear.groups <= 0 || linear.in <= 0) continue;
    const std::int64_t size = linear.group_size();
    const std::int64_t said = stated.value_or(0);
    const bool whole_row = size == 0 && said == linear.in;
    if (size == said || whole_row || (size == 0 && linear.bits == 8)) continue;
    findings.fail(linear.name,
                  fmt::format("group_size is {}; {} inputs with {} scales per row mean {}", said,
                              linear.in, linear.groups, size),
                  fmt::format("set group_size in the description to {}", size));
  }
}

constexpr std::array kRules = {
    Rule{"description-readable",
         "there is one description, and it names the type of the model",
         kBoth,
         {},
         kSource,
         check_readable},
    Rule{"description-names",
         "description and weight files have the same tensors",
         kBoth,
         {},
         "vllm-ascend: a name without entry is a KeyError",
         check_names,
         kDescription | kTensors},
    Rule{"description-types",
         "every type in the description is known",
         kBoth,
         {},
         kSource,
         check_types,
         kDescription},
    Rule{"description-one-type",
         "the parts of a linear have one type",
         kBoth,
         {},
         "vllm-ascend takes the type of the weight for all of them",
         check_one_type,
         kDescription | kLinears},
    Rule{"description-version",
         "the description says version 1.0.0",
         kV1Only,
         {},
         "it decides how 4-bit codes lie in their bytes",
         check_version,
         kDescription},
    Rule{"description-group-size",
         "group_size in the description is what the scales mean",
         kV1Only,
         {},
         "vllm-ascend allocates scales by it",
         check_group_size,
         kDescription | kLinears},
};

}  // namespace

extern const RuleFamily description_rules;
constinit const RuleFamily description_rules = {"description", kRules};

}  // namespace pare::check
