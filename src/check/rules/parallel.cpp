// Shapes that kernels and tensor parallelism ask for. Engines split the inputs of o_proj and
// down_proj among devices, and the outputs of all other linears.
#include "check/rule_help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array<std::string_view, 1> kVllm = {"vllm"};
constexpr std::array<std::string_view, 1> kGptqmodel = {"gptqmodel"};
constexpr std::array kGptqOnly = {kGptq};

/// Codes of neighbouring inputs, or outputs, that cannot be parted.
struct Unit {
  std::int64_t inputs = 1;
  std::int64_t outputs = 1;
};

Unit unit_of(const Folder& folder, const Linear& linear) noexcept {
  const std::int64_t per_word = linear.bits > 0 ? std::max(1, 32 / linear.bits) : 1;
  if (folder.layout() == kAwq) return {1, per_word};
  if (folder.layout() == kGptq) return {per_word, per_word};
  if (folder.layout() == kCt && linear.bits != 8) return {per_word, 1};
  if (linear.nibbles == Nibbles::paired_inputs) return {2, 1};
  return {1, linear.nibbles == Nibbles::paired_outputs ? 2 : 1};
}

/// Why `count` devices cannot share the linear; "" when they can.
std::string refuses_split(const Folder& folder, const Linear& linear, std::int64_t count) {
  if (linear.in <= 0 || linear.out <= 0) return "";  // linear-parts
  const Unit unit = unit_of(folder, linear);
  const bool by_input = is_row_parallel(linear.name);
  const std::int64_t size = by_input ? linear.in : linear.out;
  const char* what = by_input ? "inputs" : "outputs";
  if (size % count != 0) return fmt::format("{} {} do not divide by {}", size, what, count);
  const std::int64_t part = size / count;
  if (count == 1) return "";  // nothing is parted
  const std::int64_t words = by_input ? unit.inputs : unit.outputs;
  if (part % words != 0)
    return fmt::format("{} / {} = {} {}: {} of them share a word", size, count, part, what, words);
  const std::int64_t group = linear.group_size();
  if (by_input && group > 0 && part % group != 0)
    return fmt::format("{} / {} = {} {} are no whole groups of {}", size, count, part, what, group);
  return "";
}

std::string refuses_heads(const Folder& folder, std::int64_t count) {
  const auto heads = integer_of(member(folder.config(), "num_attention_heads")).value_or(0);
  const auto kv_heads = integer_of(member(folder.config(), "num_key_value_heads")).value_or(heads);
  if (heads <= 0 || kv_heads <= 0) return "";
  if (heads % count != 0)
    return fmt::format("{} attention heads do not divide by {}", heads, count);
  if (kv_heads % count == 0 || count % kv_heads == 0) return "";
  return fmt::format("{} key-value heads and {} devices do not divide each other", kv_heads, count);
}

bool splits(const Folder& folder, std::int64_t count) {
  if (!refuses_heads(folder, count).empty()) return false;
  return std::all_of(folder.linears().begin(), folder.linears().end(), [&](const Linear& linear) {
    return refuses_split(folder, linear, count).empty();
  });
}

std::string sizes_that_split(const Folder& folder) {
  std::vector<std::int64_t> sizes;
  for (const std::int64_t count : {1, 2, 4, 8, 16}) {
    if (splits(folder, count)) sizes.push_back(count);
  }
  return fmt::format("tensor parallel sizes that work: {}", fmt::join(sizes, ", "));
}

void check_split(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const bool heads_told = member(folder.config(), "num_attention_heads") != nullptr;
  findings.note(sizes_that_split(folder) +
                (heads_told ? "" : "; config.json does not tell the attention heads"));
  const std::int64_t count = std::max<std::int64_t>(1, subject.tensor_parallel);
  const std::string fix = fmt::format(
      "{}; or pad the width of the MLP with zeros before quantizing, or take a smaller group size",
      sizes_that_split(folder));
  const std::string heads = refuses_heads(folder, count);
  if (!heads.empty()) findings.fail("config.json", heads, fix);
  for (const Linear& linear : folder.linears()) {
    const std::string reason = refuses_split(folder, linear, count);
    if (!reason.empty()) findings.fail(linear.name, reason, fix);
  }
}

/// "" when vLLM's Marlin kernels take the linear on each of `count` devices.
std::string refused_by_marlin(const Linear& linear, std::int64_t count) {
  const std::int64_t in = is_row_parallel(linear.name) ? linear.in / count : linear.in;
  const std::int64_t out = is_row_parallel(linear.name) ? linear.out : linear.out / count;
  const std::int64_t group = linear.group_size();
  if (in % 128 != 0) return fmt::format("{} inputs, no multiple of 128", in);
  if (out % 64 != 0) return fmt::format("{} outputs, no multiple of 64", out);
  if (group == 0 || group == 32 || group == 64 || group == 128) return "";
  return fmt::format("groups of {}, not 32, 64 or 128", group);
}

void check_marlin(const Subject& subject, Findings& findings) {
  const std::int64_t count = std::max<std::int64_t>(1, subject.tensor_parallel);
  for (const Linear& linear : subject.folder.linears()) {
    const bool weight_only = subject.folder.weights().find(linear.name + ".weight") == nullptr;
    if (!weight_only || linear.in <= 0 || linear.out <= 0) continue;
    const std::string reason = refused_by_marlin(linear, count);
    if (!reason.empty())
      findings.warn(linear.name, reason,
                    "slower kernels serve it, or none in some versions: pad the model or keep the "
                    "linear in float");
  }
}

void check_exllama(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    if (linear.in % 32 == 0 && linear.out % 32 == 0) continue;
    findings.warn(linear.name, fmt::format("{} inputs and {} outputs", linear.in, linear.out),
                  "keep it in float: fast kernels want multiples of 32, and AutoGPTQ rounds sizes "
                  "down to them");
  }
}

constexpr std::array kRules = {
    Rule{"tensor-parallel",
         "the devices asked for with --tp (else one) can share every linear",
         kQuantizedLayouts,
         {},
         "row-parallel: inputs / devices in whole groups and words; column-parallel: outputs",
         check_split,
         kLinears},
    Rule{"marlin-shapes", "vLLM's Marlin kernels take every shape", kHfLayouts, kVllm,
         "vLLM, marlin_utils: inputs % 128, outputs % 64, groups of -1, 32, 64, 128", check_marlin,
         kLinears},
    Rule{"exllama-shapes", "inputs and outputs are multiples of 32", kGptqOnly, kGptqmodel,
         "ExLlama kernels; AutoGPTQ allocates sizes / 32 rounded down", check_exllama, kLinears},
};

}  // namespace

extern const RuleFamily parallel_rules;
constinit const RuleFamily parallel_rules = {"parallel", kRules};

}  // namespace pare::check
