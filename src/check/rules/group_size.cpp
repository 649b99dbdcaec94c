// Rules about the one group size that AWQ and GPTQ configurations state for all linears.
#include "check/layouts/gptq_settings.h"
#include "check/rule_help.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array kOneSize = {kAwq, kGptq};

/// What a configuration must say for a linear: -1 with one scale per row.
std::int64_t size_from_shapes(const Linear& linear) noexcept {
  return linear.groups == 1 ? -1 : linear.group_size();
}

bool fits(const Linear& linear, std::int64_t stated) noexcept {
  if (linear.groups <= 0 || linear.in <= 0) return true;  // linear-parts says what is wrong
  if (stated == -1) return linear.groups == 1;
  return stated > 0 && linear.in % stated == 0 && linear.in / stated == linear.groups;
}

void check_stated(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const auto stated = integer_of(member(folder.quantization(), "group_size", "q_group_size"));
  if (!stated) {
    findings.fail(config_place(folder), "group_size is absent",
                  fmt::format("set group_size to {}", size_from_shapes(folder.linears().front())));
    return;
  }
  for (const Linear& linear : folder.linears()) {
    const auto sizes = stated_for(folder, linear.name, "group_size", "q_group_size");
    const bool fitting = std::any_of(sizes.begin(), sizes.end(), [&](const io::Json* size) {
      return fits(linear, integer_of(size).value_or(0));
    });
    if (fitting) continue;
    const bool divides = *stated <= 0 || linear.in % *stated == 0;
    findings.fail(
        linear.name,
        fmt::format("group_size is {}; {} inputs with {} scales per row mean {}", *stated,
                    linear.in, linear.groups, size_from_shapes(linear)),
        divides ? fmt::format("set group_size to {} in the configuration", size_from_shapes(linear))
                : "quantize it with a group size that divides its inputs, or keep it in float");
  }
}

void check_whole_row(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const auto stated = config_integer(folder, "group_size");
  if (!stated) return findings.not_looked_at("group_size is not stated");
  if (*stated <= 0) return;
  for (const Linear& linear : folder.linears()) {
    if (linear.groups != 1 || linear.in != *stated || *stated <= 128) continue;
    findings.warn(linear.name, fmt::format("group_size {} is its whole row", *stated),
                  "write -1: kernels know -1, 32, 64 and 128");
  }
}

constexpr std::array kRules = {
    Rule{"group-size",
         "group_size in the configuration is what the scales mean",
         kOneSize,
         {},
         "loaders allocate scales by it; a wrong one fails or gives wrong scales silently",
         check_stated,
         kLinears | kSettings},
    Rule{"group-whole-row",
         "one scale per row is stated as -1",
         kOneSize,
         {},
         "kernels list the sizes they take: -1, 16, 32, 64, 128",
         check_whole_row,
         kLinears | kSettings},
};

}  // namespace

extern const RuleFamily group_size_rules;
constinit const RuleFamily group_size_rules = {"group_size", kRules};

}  // namespace pare::check
