// The tables of rules and engines, made from rules.def and targets.def.
#include "check/rule.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace pare::check {

#define PARE_RULES(name) extern const RuleFamily name##_rules;
#include "check/rules.def"
#undef PARE_RULES
#define PARE_TARGET(name) extern const Target name##_target;
#include "check/targets.def"
#undef PARE_TARGET

namespace {

constexpr std::array kFamilies = {
#define PARE_RULES(name) &name##_rules,
#include "check/rules.def"
#undef PARE_RULES
};

constexpr std::array kTargets = {
#define PARE_TARGET(name) &name##_target,
#include "check/targets.def"
#undef PARE_TARGET
};

bool holds(std::span<const std::string_view> list, std::string_view word) noexcept {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

std::span<const RuleFamily* const> rule_families() noexcept { return kFamilies; }

std::vector<const Rule*> rules() {
  std::vector<const Rule*> all;
  for (const RuleFamily* family : kFamilies) {
    for (const Rule& rule : family->rules)
      all.push_back(&rule);
  }
  return all;
}

bool applies(const Rule& rule, std::string_view layout, const Target* target) noexcept {
  if (!rule.layouts.empty() && !holds(rule.layouts, layout)) return false;
  if (rule.targets.empty()) return target == nullptr;
  if (target == nullptr) return false;
  return holds(rule.targets, target->id) || holds(rule.targets, kEveryTarget);
}

std::span<const Target* const> targets() noexcept { return kTargets; }

const Target& find_target(std::string_view id) {
  std::vector<std::string> known;
  for (const Target* target : kTargets) {
    if (target->id == id) return *target;
    known.emplace_back(target->id);
  }
  const std::string near = closest_match(id, known);
  throw Error(ErrorCode::unknown_entry, fmt::format("target \"{}\"", id))
      .hint(near.empty() ? fmt::format("the targets are {}", fmt::join(known, ", "))
                         : fmt::format("did you mean \"{}\"?", near));
}

bool loads(const Target& target, std::string_view layout) noexcept {
  return holds(target.layouts, layout);
}

}  // namespace pare::check
