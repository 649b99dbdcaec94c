// pare check: would an engine load this folder? Every rule, what it found, and what to do.
#include "options/add_options.h"
#include "pare/check.h"
#include "pare/error.h"
#include "pare/quantize.h"
#include "verb.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>
#include <vector>

namespace pare::app {
namespace {

constexpr int kFails = 4;
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
          {"linears", check.linears},
          {"verdict", name_of(check.verdict)},
          {"rules", to_json(check.rules)},
          {"targets", targets}};
}

std::string_view mark_of(Verdict verdict) noexcept {
  return verdict == Verdict::fail ? "FAIL" : name_of(verdict);
}

std::string one_line(const Finding& finding) {
  const std::string gap = finding.where.empty() ? "" : ": ";
  return printable(finding.where + gap + finding.found);
}

/// A rule that is kept says so in its own words; another shows what it found and the fix.
void show(Console& console, const RuleOutcome& outcome) {
  if (outcome.verdict == Verdict::ok) {
    const std::string note = outcome.note.empty() ? "" : fmt::format(" ({})", outcome.note);
    console.result(fmt::format("  ok    {:<24}{}{}", outcome.rule, outcome.summary, note));
    return;
  }
  std::string id(outcome.rule);
  std::string fix;
  for (std::size_t i = 0; i < outcome.findings.size() && i < kMostShown; ++i) {
    const Finding& finding = outcome.findings[i];
    const std::string_view mark = id.empty() ? "" : mark_of(outcome.verdict);
    console.result(fmt::format("  {:<6}{:<24}{}", mark, id, one_line(finding)));
    if (finding.fix != fix)
      console.result(fmt::format("  {:<30}fix: {}", "", printable(finding.fix)));
    fix = finding.fix;
    id.clear();
  }
  if (outcome.count > kMostShown)
    console.result(fmt::format("  {:<30}and {} more like these", "", outcome.count - kMostShown));
}

void show(Console& console, const std::vector<RuleOutcome>& outcomes) {
  for (const RuleOutcome& outcome : outcomes)
    show(console, outcome);
}

struct Counts {
  std::size_t ok = 0;
  std::size_t warn = 0;
  std::size_t fail = 0;
};

void count(const std::vector<RuleOutcome>& outcomes, Counts& counts) {
  for (const RuleOutcome& outcome : outcomes) {
    counts.ok += outcome.verdict == Verdict::ok ? 1 : 0;
    counts.warn += outcome.verdict == Verdict::warn ? 1 : 0;
    counts.fail += outcome.verdict == Verdict::fail ? 1 : 0;
  }
}

/// One line for an engine: what stands in its way, else what is worth knowing.
void show_verdict(Console& console, const TargetOutcome& outcome, bool layout_fails) {
  const Verdict verdict = layout_fails ? Verdict::fail : outcome.verdict;
  std::string text = layout_fails ? "the rules above fail" : "";
  for (const RuleOutcome& rule : outcome.rules) {
    if (rule.verdict != verdict || rule.findings.empty()) continue;
    const std::string gap = text.empty() ? "" : "; ";
    text += gap + fmt::format("{}: {}", rule.rule, one_line(rule.findings.front()));
    break;
  }
  if (text.empty()) text = "its own rules are kept as well";
  console.result(fmt::format("  {:<6}{:<24}{}", mark_of(verdict), outcome.target, text));
}

void show_targets(Console& console, const FolderCheck& check, bool layout_fails) {
  if (check.targets.empty()) {
    console.result("  none of the engines that pare knows reads this layout");
    return;
  }
  console.result("for each engine that reads the layout (details: --target NAME):");
  for (const TargetOutcome& outcome : check.targets)
    show_verdict(console, outcome, layout_fails);
}

std::string closing_line(const Counts& counts) {
  return fmt::format("{} failed, {} warned, {} kept", counted(counts.fail, "rule"), counts.warn,
                     counts.ok);
}

/// Without weight files or linears (GGUF, packed folders) the rules tell what there is.
std::string heading(const FolderCheck& check) {
  std::string text = fmt::format("{}: layout {}", check.folder.string(), check.layout);
  if (check.linears > 0) text += ", " + counted(check.linears, "quantized linear");
  if (check.weight_files == 0) return text;
  return text + (check.linears > 0 ? " in " : ", ") + counted(check.weight_files, "weight file");
}

/// `asked` for one engine: its rules are shown like those of the layout.
void show(Console& console, const FolderCheck& check, bool asked) {
  console.result(printable(heading(check)));
  show(console, check.rules);
  Counts counts;
  count(check.rules, counts);
  if (asked) {
    for (const TargetOutcome& outcome : check.targets) {
      show(console, outcome.rules);
      count(outcome.rules, counts);
    }
  } else {
    show_targets(console, check, counts.fail > 0);
  }
  console.result(closing_line(counts));
}

int run(Session& session, const Options& options) {
  const FolderCheck check =
      check_folder(session.ctx, options.folder, {options.target, options.tensor_parallel});
  session.console.end_progress();
  if (session.json)
    session.console.json(to_json(check));
  else
    show(session.console, check, !options.target.empty());
  return check.verdict == Verdict::fail ? kFails : 0;
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
        "in one run. Exit code 4 when a rule fails; warnings do not fail. Without --target the "
        "rules of the layout count, and every engine that reads it gets a line of its own.",
    .examples =
        "pare check llama-awq\npare check llama-awq --target vllm --tp 4\n"
        "pare check llama-ascend --target vllm-ascend --json",
    .json = JsonOutput::object,
    .declare = declare,
};

}  // namespace pare::app
