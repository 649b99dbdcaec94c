// All rules that concern a folder, and what they found.
#pragma once

#include "check/rule.h"
#include "pare/context.h"

#include <optional>
#include <vector>

namespace pare::check {

struct RuleResult {
  const Rule* rule = nullptr;
  Findings findings;
};

/// What the rules of one engine found.
struct TargetResult {
  const Target* target = nullptr;
  std::vector<RuleResult> rules;

  Verdict verdict() const noexcept;
};

struct CheckReport {
  std::vector<RuleResult> layout;     // rules that hold for whoever loads the folder
  std::vector<TargetResult> targets;  // the one asked for, or every one that reads the layout

  /// Fails when a rule of the layout fails, or one of an engine that was asked for.
  Verdict verdict() const noexcept;
  bool asked = false;  // for one target
};

struct CheckOptions {
  const Target* target = nullptr;    // nullptr: the layout, and a verdict for each engine
  std::int64_t tensor_parallel = 0;  // devices; 0 = not said
};

/// Errors: interrupted. Whatever the files say becomes a finding.
CheckReport check_folder(const Context& ctx, const Folder& folder, const CheckOptions& options);

}  // namespace pare::check
