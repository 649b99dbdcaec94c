// A rule that a checkpoint folder must keep. A file in rules/ holds a family of them and stands as
// one line in rules.def.
#pragma once

#include "check/finding.h"
#include "check/folder.h"
#include "check/target.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::check {

/// What is checked: a folder, and for whom.
struct Subject {
  const Folder& folder;
  const Target* target = nullptr;    // rules of engines have one
  std::int64_t tensor_parallel = 0;  // devices that the user wants; 0 = not said
};

/// What a rule looks at; where it is not there, the rule is not run and says so.
enum Need : std::uint8_t {
  kNothing = 0,
  kConfig = 1,       // config.json can be read
  kSettings = 2,     // what says how the folder is quantized can be read, were it there
  kLinears = 4,      // there is a quantized linear
  kDescription = 8,  // there is a readable quant_model_description
  kGraph = 16,       // Pare knows the architecture
  kTensors = 32      // a header of a weight file can be read
};

struct Rule {
  std::string_view id;
  std::string_view summary;                   // what holds when the rule is kept
  std::span<const std::string_view> layouts;  // ids of layouts.h; empty = all
  /// Engines that ask for it; empty = the layout itself does, whoever loads it.
  std::span<const std::string_view> targets;
  std::string_view source;  // where it comes from, and why
  void (*check)(const Subject& subject, Findings& findings);
  std::uint8_t needs = kNothing;  // of Need, or'ed
};

/// What is missing of a rule's needs, as a sentence; "" when nothing is.
std::string missing_needs(const Rule& rule, const Folder& folder);

struct RuleFamily {
  std::string_view id;
  std::span<const Rule> rules;
};

std::span<const RuleFamily* const> rule_families() noexcept;
/// All rules in the order of rules.def.
std::vector<const Rule*> rules();

/// Whether the rule concerns a layout, and an engine (nullptr: the layout by itself).
bool applies(const Rule& rule, std::string_view layout, const Target* target) noexcept;

/// Every engine: for rules that are asked for each.
inline constexpr std::string_view kEveryTarget = "*";

}  // namespace pare::check
