#include "check/checker.h"

#include "pare/error.h"

#include <algorithm>
#include <exception>

namespace pare::check {
namespace {

Verdict worst(const std::vector<RuleResult>& results) noexcept {
  Verdict verdict = Verdict::ok;
  for (const RuleResult& result : results)
    verdict = std::max(verdict, result.findings.verdict());
  return verdict;
}

/// A file that no rule foresaw is a finding of the rule that stumbled over it; our own mistakes and
/// Ctrl-C are not.
void run_rule(const Rule& rule, const Subject& subject, Findings& findings) {
  try {
    rule.check(subject, findings);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::internal) throw;
    findings.fail("", error.detail(), error.hint().empty() ? "fetch the file again" : error.hint());
  }
}

std::vector<RuleResult> run_rules(const Context& ctx, const Subject& subject) {
  std::vector<RuleResult> results;
  for (const Rule* rule : rules()) {
    if (!applies(*rule, subject.folder.layout(), subject.target)) continue;
    ctx.check_cancelled();
    RuleResult& result = results.emplace_back();
    result.rule = rule;
    run_rule(*rule, subject, result.findings);
  }
  return results;
}

TargetResult run_target(const Context& ctx, Subject subject, const Target& target) {
  subject.target = &target;
  return {&target, run_rules(ctx, subject)};
}

}  // namespace

Verdict TargetResult::verdict() const noexcept { return worst(rules); }

Verdict CheckReport::verdict() const noexcept {
  Verdict verdict = worst(layout);
  for (const TargetResult& result : targets) {
    if (asked) verdict = std::max(verdict, result.verdict());
  }
  return verdict;
}

CheckReport check_folder(const Context& ctx, const Folder& folder, const CheckOptions& options) {
  const Subject subject{folder, nullptr, options.tensor_parallel};
  CheckReport report;
  report.asked = options.target != nullptr;
  report.layout = run_rules(ctx, subject);
  if (report.asked) {
    report.targets.push_back(run_target(ctx, subject, *options.target));
    return report;
  }
  for (const Target* target : targets()) {
    if (loads(*target, folder.layout()))
      report.targets.push_back(run_target(ctx, subject, *target));
  }
  return report;
}

}  // namespace pare::check
