#include "check/checker.h"

#include "pare/error.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace pare::check {
namespace {

/// What could not be looked at is passed over, unless nothing was looked at.
Verdict worst(const std::vector<RuleResult>& results) noexcept {
  Verdict verdict = results.empty() ? Verdict::ok : Verdict::not_looked_at;
  for (const RuleResult& result : results)
    verdict = std::max(verdict, result.findings.verdict());
  return verdict;
}

/// A file that no rule foresaw is a finding of the rule that stumbled over it; our own mistakes and
/// Ctrl-C are not. What Pare does not read need not be wrong.
void run_rule(const Rule& rule, const Subject& subject, Findings& findings) {
  std::string missing = missing_needs(rule, subject.folder);
  if (!missing.empty()) return findings.not_looked_at(std::move(missing));
  try {
    rule.check(subject, findings);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::internal) throw;
    if (error.kind() == ErrorKind::unsupported) return findings.no_rules("", error.detail());
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
