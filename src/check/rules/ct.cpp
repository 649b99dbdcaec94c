// Rules of compressed-tensors files: the configuration against the tensors.
// Source: docs/formats/compressed-tensors.md
#include "check/layouts/ct_groups.h"
#include "check/rule_help.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace pare::check {
namespace {

constexpr std::array kCtOnly = {kCt};
constexpr const char* kSource =
    "compressed-tensors 0.18.0, QuantizationConfig and QuantizationArgs";

bool is_packed(const Folder& folder, const Linear& linear) {
  return folder.weights().find(linear.name + ".weight_packed") != nullptr;
}

/// Whether a group has linears of words or codes that Pare has rules for, whatever its format says.
bool has_linears(const Folder& folder, const std::vector<CtGroup>& groups, const CtGroup& group) {
  return std::any_of(folder.linears().begin(), folder.linears().end(),
                     [&](const Linear& linear) { return group_of(groups, linear.name) == &group; });
}

/// The format that counts for a linear: that of its group, else the one of the whole; "" when that
/// leaves it to the groups and they do not say.
std::string format_for(const Folder& folder, const std::vector<CtGroup>& groups,
                       const std::string& linear) {
  const CtGroup* group = group_of(groups, linear);
  if (group != nullptr) return group->format;
  const std::string whole = text_of(member(folder.quantization(), "format")).value_or("");
  return whole == "mixed-precision" ? "" : whole;
}

void check_format_of(const Folder& folder, const Linear& linear, const std::string& format,
                     Findings& findings) {
  const bool packed = is_packed(folder, linear);
  const bool mixed = text_of(member(folder.quantization(), "format")) == "mixed-precision";
  if (format.empty() && mixed) return;
  const bool for_packed = format == "pack-quantized";
  const bool fits = for_packed == packed && has_rules_for(format) && !format.empty();
  if (fits) return;
  findings.fail(
      config_place(folder),
      fmt::format("format is {}, {} holds {}", format.empty() ? "absent" : '"' + format + '"',
                  linear.name, packed ? "packed words" : "int8 codes"),
      fmt::format("set format to \"{}\" {}", packed ? "pack-quantized" : "int-quantized",
                  mixed ? "in its group" : "at the top level of the configuration"));
}

void check_format(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const std::vector<CtGroup> groups = ct_groups(folder);
  std::set<std::string> seen;  // one linear of each format is enough
  for (const Linear& linear : folder.linears()) {
    const std::string format = format_for(folder, groups, linear.name);
    const std::size_t before = findings.count();
    if (!seen.contains(format)) check_format_of(folder, linear, format, findings);
    if (findings.count() > before) seen.insert(format);
  }
  for (const CtGroup& group : groups) {
    if (has_rules_for(group.format) || has_linears(folder, groups, group)) continue;
    findings.no_rules(group.name, fmt::format("compressed-tensors of format {}", group.format));
  }
}

void check_status(const Subject& subject, Findings& findings) {
  const io::Json* status = member(subject.folder.quantization(), "quantization_status");
  if (text_of(status) == "compressed") return;
  findings.warn(
      config_place(subject.folder), fmt::format("quantization_status is {}", shown(status)),
      "set quantization_status to \"compressed\": transformers expects float weights otherwise");
}

void check_unknown_keys(const CtArgs& args, const std::string& where, Findings& findings) {
  constexpr std::array<std::string_view, 13> kKnown = {
      "num_bits",        "type",     "symmetric", "group_size", "strategy",
      "block_structure", "dynamic",  "actorder",  "observer",   "observer_kwargs",
      "scale_dtype",     "zp_dtype", "is_mx"};
  for (const auto& [key, value] : args.json->items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end()) continue;
    findings.fail(where, fmt::format("unknown key \"{}\"", key),
                  "remove the key: readers refuse keys they do not know");
  }
}

void check_args(const CtArgs& args, const std::string& where, Findings& findings) {
  check_unknown_keys(args, where, findings);
  const bool grouped = args.strategy == "group" || args.strategy == "tensor_group";
  const bool has_size = args.group_size.value_or(-1) > 0;
  if (grouped != has_size)
    findings.fail(where,
                  fmt::format("strategy \"{}\" with group_size {}", args.strategy,
                              shown(member(*args.json, "group_size"))),
                  grouped ? "state the group_size"
                          : "remove group_size: it goes with strategy \"group\" alone");
  if (args.strategy == "token" && !args.dynamic)
    findings.fail(where, "strategy \"token\" without dynamic",
                  "set dynamic to true: scales of a token are made at run time");
}

void check_groups(const Subject& subject, Findings& findings) {
  const std::vector<CtGroup> groups = ct_groups(subject.folder);
  if (groups.empty())
    findings.fail(config_place(subject.folder), "config_groups is absent or empty",
                  "add a group with targets and weights");
  for (const CtGroup& group : groups) {
    if (!has_rules_for(group.format)) continue;  // ct-format
    if (!group.weights) {
      findings.fail(group.name, "it says nothing of weights",
                    "add \"weights\" with num_bits, symmetric and strategy");
      continue;
    }
    check_args(*group.weights, group.name + ", weights", findings);
    if (group.inputs) check_args(*group.inputs, group.name + ", input_activations", findings);
  }
}

void check_linear(const Linear& linear, const CtArgs& weights, Findings& findings) {
  if (linear.bits != 0 && weights.bits != linear.bits)
    findings.fail(linear.name,
                  fmt::format("num_bits is {}, the words hold {}", weights.bits, linear.bits),
                  fmt::format("set num_bits to {}", linear.bits));
  if (linear.groups <= 0 || linear.in <= 0) return;
  const std::int64_t columns = linear.in / linear.groups;
  const bool grouped = weights.group_size.value_or(-1) > 0;
  if (grouped ? *weights.group_size == columns : linear.groups == 1) return;
  findings.fail(
      linear.name,
      fmt::format("group_size is {}; {} inputs with {} scales per row mean {}",
                  shown(member(*weights.json, "group_size")), linear.in, linear.groups, columns),
      fmt::format("set strategy to \"group\" and group_size to {}", columns));
}

void check_shapes(const Subject& subject, Findings& findings) {
  const std::vector<CtGroup> groups = ct_groups(subject.folder);
  for (const Linear& linear : subject.folder.linears()) {
    const CtGroup* group = group_of(groups, linear.name);
    if (group == nullptr && !groups.empty())
      findings.fail(linear.name, "no config group has it among its targets",
                    "add it to the targets of its group, or \"Linear\" for all");
    if (group != nullptr && group->weights) check_linear(linear, *group->weights, findings);
  }
}

void check_zero_points(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const std::vector<CtGroup> groups = ct_groups(folder);
  for (const Linear& linear : folder.linears()) {
    const CtGroup* group = group_of(groups, linear.name);
    if (group == nullptr || !group->weights) continue;
    const bool there = folder.weights().find(linear.name + ".weight_zero_point") != nullptr;
    if (there != group->weights->symmetric) continue;
    if (there)
      findings.fail(
          linear.name, "symmetric, but there is a weight_zero_point",
          "leave weight_zero_point out of symmetric linears: vLLM has no parameter for it");
    else
      findings.fail(linear.name, "symmetric is false, but there is no weight_zero_point",
                    "write weight_zero_point, or set symmetric to true when all zeros are 0");
  }
}

void check_input(const Folder& folder, const Linear& linear, const CtGroup& group,
                 Findings& findings) {
  const bool is_static = group.inputs && !group.inputs->dynamic;
  const bool scale = folder.weights().find(linear.name + ".input_scale") != nullptr;
  const bool zero = folder.weights().find(linear.name + ".input_zero_point") != nullptr;
  if (is_static != scale)
    findings.fail(linear.name,
                  is_static ? "static activations, but no input_scale"
                            : "an input_scale, but no static activations",
                  is_static ? "calibrate and write input_scale"
                            : "state input_activations, or remove input_scale");
  const bool wants_zero = is_static && !group.inputs->symmetric;
  if (wants_zero != zero)
    findings.fail(linear.name,
                  wants_zero ? "asymmetric activations, but no input_zero_point"
                             : "an input_zero_point, but symmetric activations",
                  wants_zero
                      ? "write input_zero_point also when it is 0: loaders leave it undefined"
                      : "set symmetric to false in input_activations, or remove input_zero_point");
}

void check_inputs(const Subject& subject, Findings& findings) {
  const std::vector<CtGroup> groups = ct_groups(subject.folder);
  for (const Linear& linear : subject.folder.linears()) {
    const CtGroup* group = group_of(groups, linear.name);
    if (group != nullptr) check_input(subject.folder, linear, *group, findings);
  }
}

void check_ignore(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const std::vector<std::string> ignore = texts_of(member(folder.quantization(), "ignore"));
  const std::vector<CtGroup> groups = ct_groups(folder);
  std::vector<std::string> floats = folder.float_linears();
  if (has_tied_head(folder)) floats.emplace_back("lm_head");
  for (const std::string& name : floats) {
    if (is_ignored(ignore, name) || group_of(groups, name) == nullptr) continue;
    findings.fail(name, "it is float, and \"ignore\" does not name it",
                  fmt::format("add \"{}\" to \"ignore\"", name));
  }
  for (const Linear& linear : folder.linears()) {
    if (std::find(ignore.begin(), ignore.end(), linear.name) == ignore.end()) continue;
    findings.fail(linear.name, "it is quantized, and \"ignore\" names it",
                  "remove it from \"ignore\"");
  }
}

constexpr std::array kRules = {
    Rule{"ct-format",
         "format is what the weights are: packed words, or int8 codes",
         kCtOnly,
         {},
         kSource,
         check_format,
         kLinears | kSettings},
    Rule{"ct-status",
         "quantization_status is compressed",
         kCtOnly,
         {},
         "transformers, CompressedTensorsHfQuantizer",
         check_status,
         kSettings},
    Rule{"ct-args",
         "config_groups have keys and strategies that readers accept",
         kCtOnly,
         {},
         "QuantizationArgs forbids unknown keys",
         check_groups,
         kSettings},
    Rule{"ct-shapes",
         "num_bits, strategy and group_size are what the tensors hold",
         kCtOnly,
         {},
         kSource,
         check_shapes,
         kLinears | kSettings},
    Rule{"ct-zero-points",
         "weight_zero_point is there when weights are asymmetric, and only then",
         kCtOnly,
         {},
         "vLLM, compressed_tensors_wNa16: no such parameter when symmetric",
         check_zero_points,
         kLinears | kSettings},
    Rule{"ct-inputs",
         "input_scale and input_zero_point are there when they are asked for, and only then",
         kCtOnly,
         {},
         "vLLM, compressed_tensors_w8a8_int8",
         check_inputs,
         kLinears | kSettings},
    Rule{"ct-ignore",
         "\"ignore\" names every float linear and no quantized one",
         kCtOnly,
         {},
         "transformers and vLLM replace every linear that is not named",
         check_ignore,
         kLinears | kSettings},
};

}  // namespace

extern const RuleFamily ct_rules;
constinit const RuleFamily ct_rules = {"ct", kRules};

}  // namespace pare::check
