// pare check: would an engine load this folder? Every rule, what it found, and what to do.
#include "options/add_options.h"
#include "pare/check.h"
#include "pare/error.h"
#include "pare/quantize.h"
#include "verb.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pare::app {
namespace {

constexpr int kFails = 4;
constexpr int kNoRules = 7;  // a job that asks for a check must not take it for passed
constexpr std::size_t kMostShown = 3;

struct Options {
  std::string folder;
  std::string target;
  std::int64_t tensor_parallel = 0;
};

Json to_json(const RuleOutcome& outcome) {
  Json findings = Json::array();
  for (const Finding& f : outcome.findings) {
    findings.push_back({{"verdict", name_of(f.verdict)},
                        {"where", printable(f.where)},
                        {"found", printable(f.found)},
                        {"fix", printable(f.fix)}});
  }
  return {{"rule", outcome.rule},       {"verdict", name_of(outcome.verdict)},
          {"summary", outcome.summary}, {"note", printable(outcome.note)},
          {"count", outcome.count},     {"findings", findings}};
}

Json to_json(const std::vector<RuleOutcome>& outcomes) {
  Json list = Json::array();
  for (const RuleOutcome& outcome : outcomes)
    list.push_back(to_json(outcome));
  return list;
}

Json to_json(const FolderCheck& check) {
  Json targets = Json::array();
  for (const TargetOutcome& outcome : check.targets) {
    targets.push_back({{"target", outcome.target},
                       {"verdict", name_of(outcome.verdict)},
                       {"rules", to_json(outcome.rules)}});
  }
  return {{"folder", printable(check.folder.string())},
          {"layout", check.layout},
          {"recognised", printable(check.recognised)},
          {"linears", check.linears},
          {"verdict", name_of(check.verdict)},
          {"rules", to_json(check.rules)},
          {"targets", targets}};
}

std::string_view mark_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::not_looked_at:
      return "-";
    case Verdict::no_rules:
      return "?";
    case Verdict::fail:
      return "FAIL";
    case Verdict::ok:
    case Verdict::warn:
      break;
  }
  return name_of(verdict);
}

std::string one_line(const Finding& finding) {
  const std::string gap = finding.where.empty() ? "" : ": ";
  return printable(finding.where + gap + finding.found);
}

/// What counts most comes first.
std::vector<Finding> in_order(const RuleOutcome& outcome) {
  std::vector<Finding> findings = outcome.findings;
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.verdict > b.verdict; });
  return findings;
}

void show_findings(Console& console, const RuleOutcome& outcome) {
  const std::vector<Finding> findings = in_order(outcome);
  std::string id(outcome.rule);
  std::string_view mark;
  std::string fix;
  for (std::size_t i = 0; i < findings.size() && i < kMostShown; ++i) {
    const Finding& finding = findings[i];
    const bool as_before = mark == mark_of(finding.verdict);
    mark = mark_of(finding.verdict);
    console.result(fmt::format("  {:<6}{:<24}{}", as_before ? "" : mark, id, one_line(finding)));
    if (finding.fix != fix)
      console.result(fmt::format("  {:<30}fix: {}", "", printable(finding.fix)));
    fix = finding.fix;
    id.clear();
  }
  if (outcome.count > kMostShown)
    console.result(fmt::format("  {:<30}and {} more like these", "", outcome.count - kMostShown));
}

/// A rule that is kept says so in its own words, one that could not look says why; another shows
/// what it found and the fix.
void show(Console& console, const RuleOutcome& outcome) {
  if (!outcome.findings.empty()) return show_findings(console, outcome);
  const std::string note = outcome.note.empty() ? "" : fmt::format(" ({})", outcome.note);
  const bool looked = outcome.verdict != Verdict::not_looked_at;
  console.result(printable(fmt::format(
      "  {:<6}{:<24}{}", mark_of(outcome.verdict), outcome.rule,
      looked ? std::string(outcome.summary) + note : "not looked at: " + outcome.note)));
}

void show(Console& console, const std::vector<RuleOutcome>& outcomes) {
  for (const RuleOutcome& outcome : outcomes)
    show(console, outcome);
}

/// Verdicts of rules: the layout's own, and those of engines once each, with the worst that any
/// engine has.
class Counts {
 public:
  explicit Counts(const FolderCheck& check) {
    for (const RuleOutcome& outcome : check.rules)
      add(outcome);
    for (const TargetOutcome& target : check.targets) {
      for (const RuleOutcome& outcome : target.rules)
        add(outcome);
    }
  }

  std::size_t of(Verdict verdict) const {
    return static_cast<std::size_t>(std::count_if(
        worst_.begin(), worst_.end(), [&](const auto& entry) { return entry.second == verdict; }));
  }

 private:
  void add(const RuleOutcome& outcome) {
    const auto [place, fresh] = worst_.emplace(outcome.rule, outcome.verdict);
    if (!fresh) place->second = std::max(place->second, outcome.verdict);
  }

  std::map<std::string_view, Verdict> worst_;
};

std::size_t failed(const std::vector<RuleOutcome>& outcomes) {
  return static_cast<std::size_t>(
      std::count_if(outcomes.begin(), outcomes.end(),
                    [](const RuleOutcome& o) { return o.verdict == Verdict::fail; }));
}

/// The first thing of this verdict that the rules of an engine found.
std::string first_of(const TargetOutcome& outcome, Verdict verdict) {
  for (const RuleOutcome& rule : outcome.rules) {
    if (rule.verdict != verdict || rule.findings.empty()) continue;
    return fmt::format("{}: {}", rule.rule, one_line(in_order(rule).front()));
  }
  return "";
}

/// One line for an engine: what stands in its way, else what is worth knowing.
void show_verdict(Console& console, const TargetOutcome& outcome, bool layout_fails) {
  const Verdict verdict = layout_fails ? Verdict::fail : outcome.verdict;
  const std::string found = first_of(outcome, verdict);
  std::string text = layout_fails ? "the rules above fail" : "";
  if (!found.empty()) text += (text.empty() ? "" : "; ") + found;
  if (text.empty()) text = "its own rules are kept as well";
  console.result(fmt::format("  {:<6}{:<24}{}", mark_of(verdict), outcome.target, text));
}

void show_targets(Console& console, const FolderCheck& check) {
  if (!check.recognised.empty()) return;  // which engines read it is for others to say
  if (check.targets.empty()) {
    console.result("  none of the engines that pare knows reads this layout");
    return;
  }
  console.result("for each engine that reads the layout (details: --target NAME):");
  for (const TargetOutcome& outcome : check.targets)
    show_verdict(console, outcome, failed(check.rules) > 0);
}

/// Engines that nobody asked for inform: their failures are counted apart.
std::string closing_line(const FolderCheck& check, bool asked) {
  const Counts counts(check);
  const std::size_t fails = asked ? counts.of(Verdict::fail) : failed(check.rules);
  std::string line = fmt::format("{} failed, {} warned, {} kept", counted(fails, "rule"),
                                 counts.of(Verdict::warn), counts.of(Verdict::ok));
  const std::size_t unseen = counts.of(Verdict::not_looked_at);
  if (unseen > 0) line += fmt::format(", {} not looked at", unseen);
  const auto refusing = std::count_if(check.targets.begin(), check.targets.end(),
                                      [](const auto& t) { return t.verdict == Verdict::fail; });
  if (!asked && refusing > 0)
    line += fmt::format("; {} of {} fail by their own rules", refusing,
                        counted(check.targets.size(), "engine"));
  if (check.verdict != Verdict::no_rules) return line;
  const char* what = check.recognised.empty() ? "a part of the weights" : "the weights";
  return line + fmt::format("; no rules for {}: neither passed nor failed", what);
}

/// Without weight files or linears (GGUF, packed folders) the rules tell what there is.
std::string heading(const FolderCheck& check) {
  std::string text = check.folder.string() + ": ";
  text += check.recognised.empty() ? fmt::format("layout {}", check.layout) : check.recognised;
  if (check.linears > 0) text += ", " + counted(check.linears, "quantized linear");
  if (check.weight_files == 0) return text;
  return text + (check.linears > 0 ? " in " : ", ") + counted(check.weight_files, "weight file");
}

/// `asked` for one engine: its rules are shown like those of the layout.
void show(Console& console, const FolderCheck& check, bool asked) {
  console.result(printable(heading(check)));
  show(console, check.rules);
  if (!asked) show_targets(console, check);
  for (const TargetOutcome& outcome : check.targets) {
    if (asked) show(console, outcome.rules);
  }
  console.result(closing_line(check, asked));
}

int exit_code_of(Verdict verdict) noexcept {
  if (verdict == Verdict::no_rules) return kNoRules;
  return verdict == Verdict::fail ? kFails : 0;
}

int run(Session& session, const Options& options) {
  const FolderCheck check =
      check_folder(session.ctx, options.folder, {options.target, options.tensor_parallel});
  session.console.end_progress();
  if (session.json)
    session.console.json(to_json(check));
  else
    show(session.console, check, !options.target.empty());
  return exit_code_of(check.verdict);
}

std::string target_names() {
  std::vector<std::string_view> names;
  for (const Listing& listing : listings()) {
    if (listing.id != "targets") continue;
    for (const Entry& target : listing.entries)
      names.push_back(target.id);
  }
  return fmt::format("{}", fmt::join(names, "|"));
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "DIR", options->folder, "folder of a checkpoint, quantized or float",
             {.required = true});
  add_option(app, "--target", options->target,
             "the engine that is to load it; its own rules count as well",
             {.value_name = target_names()});
  add_count(app, "--tp", options->tensor_parallel, 1024,
            "devices that are to share the model (tensor parallelism)");
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

extern const Verb verb_check;
const Verb verb_check = {
    .name = "check",
    .summary = "whether engines will load a folder: every rule, what it found, and the fix",
    .description =
        "Holds a checkpoint, made by Pare or by any other tool, against what loaders expect: "
        "headers, index, configuration, names, shapes, scales and zeros. All problems are reported "
        "in one run. Exit code 4 when a rule fails, 7 when Pare has no rules for the weights or a "
        "part "
        "of them, which is no pass and no failure; warnings do not fail. Without --target the "
        "rules of the layout count, and every engine that reads it gets a line of its own.",
    .examples =
        "pare check llama-awq\npare check llama-awq --target vllm --tp 4\n"
        "pare check llama-ascend --target vllm-ascend --json",
    .json = JsonOutput::object,
    .declare = declare,
};

}  // namespace pare::app
