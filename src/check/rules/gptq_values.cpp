// Rules about zeros and groups of GPTQ files: what the configuration promises about them.
// Source: docs/formats/gptq.md
#include "check/layouts/gptq_settings.h"
#include "check/layouts/gptq_zeros.h"
#include "check/rule_help.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array kGptqOnly = {kGptq};
constexpr std::array<std::string_view, 1> kVllm = {"vllm"};
constexpr std::array<std::string_view, 1> kGptqmodel = {"gptqmodel"};
constexpr std::array<std::string_view, 1> kTransformers = {"transformers"};

bool is_v1(const Folder& folder) { return stated_gptq_format(folder) != "gptq_v2"; }

constexpr const char* kNoZeros = "no zeros of 4 or 8 bits can be read";

/// Whether "dynamic" may give the linear another flag than the whole has.
bool states_otherwise(const Folder& folder, const Linear& linear, std::string_view key,
                      bool value) {
  return may_be_stated(stated_for(folder, linear.name, key), !value);
}

void check_label(const Subject& subject, Findings& findings) {
  if (config_flag(subject.folder, "sym") != true)
    return findings.not_looked_at("only the zeros of symmetric weights tell the format");
  const bool v1 = is_v1(subject.folder);
  bool looked = false;
  for (const Linear& linear : subject.folder.linears()) {
    const ZeroFields zeros = zero_fields(subject.folder, linear);
    looked = looked || zeros.fields > 0;
    if (v1 ? !zeros.all_half() : !zeros.all_half_less()) continue;
    findings.fail(linear.name,
                  fmt::format("checkpoint_format is {}, the zeros are stored as {} does",
                              v1 ? "gptq" : "gptq_v2", v1 ? "gptq_v2" : "gptq"),
                  fmt::format("set checkpoint_format to \"{}\"", v1 ? "gptq_v2" : "gptq"));
  }
  if (!looked) findings.not_looked_at(kNoZeros);
}

void check_sym(const Subject& subject, Findings& findings) {
  const auto stated = config_flag(subject.folder, "sym");
  if (!stated) return findings.not_looked_at("sym is not stated");
  bool all_symmetric = true;
  bool looked = false;
  for (const Linear& linear : subject.folder.linears()) {
    const ZeroFields zeros = zero_fields(subject.folder, linear);
    looked = looked || zeros.fields > 0;
    const bool symmetric = zeros.all_half() || zeros.all_half_less();  // of either label
    all_symmetric = all_symmetric && symmetric;
    if (!*stated || symmetric || zeros.fields == 0) continue;
    if (states_otherwise(subject.folder, linear, "sym", *stated)) continue;
    findings.fail(linear.name, "sym is true, but its zeros are not all half the range",
                  "set sym to false: Marlin kernels ignore qzeros when it is true, and compute "
                  "something else");
  }
  if (!looked) return findings.not_looked_at(kNoZeros);
  if (*stated || !all_symmetric) return;
  findings.warn(config_place(subject.folder), "sym is false, but all zeros are half the range",
                "set sym to true: vLLM then uses its Marlin kernels");
}

/// Group of every input as the file has it, held against what desc_act promises.
struct GroupOrder {
  bool plain = true;  // input / group size
  bool all_zero = true;
  std::string problem;  // out of range, or groups of different sizes
};

GroupOrder group_order(const std::vector<std::uint32_t>& index, const Linear& linear) {
  GroupOrder order;
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(linear.groups));
  const std::int64_t size = linear.in / linear.groups;
  for (std::size_t i = 0; i < index.size(); ++i) {
    if (index[i] >= static_cast<std::uint32_t>(linear.groups)) {
      order.problem = fmt::format("g_idx puts input {} into group {} of {}", i,
                                  static_cast<std::int32_t>(index[i]), linear.groups);
      return order;
    }
    ++sizes[index[i]];
    order.all_zero = order.all_zero && index[i] == 0;
    order.plain =
        order.plain && index[i] == static_cast<std::uint64_t>(i) / static_cast<std::uint64_t>(size);
  }
  for (std::size_t g = 0; g < sizes.size() && !order.all_zero && order.problem.empty(); ++g) {
    if (sizes[g] != size)
      order.problem =
          fmt::format("g_idx gives group {} {} inputs instead of {}", g, sizes[g], size);
  }
  return order;
}

/// Sizes that fit each other, so that g_idx can be looked at.
bool has_usable_groups(const Linear& linear, std::size_t index_size) noexcept {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  return linear.groups > 0 && linear.groups < kMost && linear.in > 0 &&
         linear.in % linear.groups == 0 && static_cast<std::int64_t>(index_size) == linear.in;
}

void check_group_index(const Subject& subject, Findings& findings) {
  const bool act_order = config_flag(subject.folder, "desc_act").value_or(true);
  bool any_order = false;
  bool looked = false;
  for (const Linear& linear : subject.folder.linears()) {
    const std::vector<std::uint32_t> index = words_of(subject.folder, linear.name + ".g_idx");
    if (!has_usable_groups(linear, index.size())) continue;
    looked = true;
    const GroupOrder order = group_order(index, linear);
    any_order = any_order || !order.plain;
    if (!order.problem.empty()) {
      findings.fail(linear.name, order.problem,
                    "the file is damaged: quantize again or fetch it again");
    } else if (!act_order && !order.plain && !order.all_zero &&
               !states_otherwise(subject.folder, linear, "desc_act", act_order)) {
      findings.fail(linear.name, "desc_act is false, but g_idx is not input / group_size",
                    "set desc_act to true: engines ignore g_idx when it is false");
    } else if (order.all_zero && linear.groups > 1) {
      findings.warn(linear.name, "g_idx is all 0 though there are several groups",
                    "write input / group_size into g_idx: some kernels index with what is there");
    }
  }
  if (!looked) return findings.not_looked_at("no g_idx can be read");
  if (!act_order || any_order) return;
  findings.warn(config_place(subject.folder),
                "desc_act is true (or absent), but no g_idx changes the order",
                "set desc_act to false: kernels without act-order are faster");
}

void check_index_written(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    if (subject.folder.weights().find(linear.name + ".g_idx") != nullptr) continue;
    findings.fail(
        linear.name, "there is no g_idx",
        "write g_idx = input / group_size for every linear: optimum loads on the meta device, "
        "and what is missing stays undefined");
  }
}

bool made_by_gptqmodel(const Folder& folder) {
  const io::Json* meta = member(folder.quantization(), "meta");
  if (meta == nullptr) return false;
  std::vector<std::string> makers = texts_of(member(*meta, "quantizer"));
  makers.push_back(text_of(member(*meta, "quantizer")).value_or(""));
  return std::any_of(makers.begin(), makers.end(), [](const std::string& maker) {
    return lower_case(maker).starts_with("gptqmodel:");
  });
}

void check_asymmetric_v1(const Subject& subject, Findings& findings) {
  const auto symmetric = config_flag(subject.folder, "sym");
  if (!symmetric) return findings.not_looked_at("sym is not stated");
  if (*symmetric || !is_v1(subject.folder)) return;
  if (made_by_gptqmodel(subject.folder)) return;
  findings.fail(config_place(subject.folder), "sym is false in format gptq",
                "pare convert DIR --to gptq-v2: GPTQModel reads asymmetric zeros of the first "
                "format from its own files only");
}

void check_symmetric(const Subject& subject, Findings& findings) {
  const auto symmetric = config_flag(subject.folder, "sym");
  if (!symmetric) return findings.not_looked_at("sym is not stated");
  if (*symmetric) return;
  findings.warn(config_place(subject.folder), "sym is false",
                "pare convert DIR --to autoawq or compressed-tensors for 4 bits: Marlin kernels "
                "are for symmetric GPTQ files, and new vLLM versions refuse others");
}

void check_carry(const Subject& subject, Findings& findings) {
  if (!is_v1(subject.folder)) return;
  bool looked = false;
  for (const Linear& linear : subject.folder.linears()) {
    const ZeroFields zeros = zero_fields(subject.folder, linear);
    looked = looked || zeros.fields > 0;
    if (zeros.full == 0) continue;
    findings.fail(
        linear.name,
        fmt::format(
            "{} zero fields are all ones: a zero point of 0 was stored less one, or one of 2^bits",
            zeros.full),
        "pare convert DIR --to gptq-v2 from the source of these files, or quantize again: "
        "adding one to such a field carries into its neighbour");
  }
  if (!looked) findings.not_looked_at(kNoZeros);
}

constexpr std::array kRules = {
    Rule{"gptq-version",
         "checkpoint_format is what the zero words are",
         kGptqOnly,
         {},
         "v1 stores zeros less one, v2 as they are: 0x77777777 and 0x88888888 when symmetric",
         check_label,
         kSettings | kLinears},
    Rule{"gptq-sym",
         "sym says whether all zeros are half the range",
         kGptqOnly,
         {},
         "vLLM's Marlin ignores qzeros when sym is true",
         check_sym,
         kSettings | kLinears},
    Rule{"gptq-group-index",
         "g_idx and desc_act fit each other",
         kGptqOnly,
         {},
         "vLLM and AutoGPTQ ignore g_idx without desc_act",
         check_group_index,
         kSettings | kLinears},
    Rule{"gptq-zero-carry",
         "no zero field of format gptq is all ones",
         kGptqOnly,
         {},
         "GPTQModel adds 0x11111111 to the word; ExLlama kernels add one without a mask",
         check_carry,
         kSettings | kLinears},
    Rule{"gptq-index-written", "g_idx is written", kGptqOnly, kTransformers,
         "transformers with optimum, meta device", check_index_written, kLinears},
    Rule{"gptq-asymmetric", "the zeros are symmetric, or in a form that GPTQModel reads", kGptqOnly,
         kGptqmodel, "GPTQModel 7.3.4: v1 with sym false wants meta.quantizer gptqmodel:>=0.9.0",
         check_asymmetric_v1, kSettings},
    Rule{"gptq-vllm-symmetric", "the zeros are symmetric", kGptqOnly, kVllm,
         "vLLM, gptq_marlin: its types have no zeros", check_symmetric, kSettings},
};

}  // namespace

extern const RuleFamily gptq_values_rules;
constinit const RuleFamily gptq_values_rules = {"gptq_values", kRules};

}  // namespace pare::check
