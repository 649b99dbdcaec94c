// pare check: would an engine load this folder? Every rule, what it found, and what to do.
#include "check/checker.h"
#include "check/layouts.h"
#include "pare/error.h"
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

io::Json to_json(const check::RuleResult& result) {
  io::Json findings = io::Json::array();
  for (const check::Finding& f : result.findings.kept()) {
    findings.push_back({{"verdict", check::name_of(f.verdict)},
                        {"where", printable(f.where)},
                        {"found", printable(f.found)},
                        {"fix", printable(f.fix)}});
  }
  return {
      {"rule", result.rule->id},          {"verdict", check::name_of(result.findings.verdict())},
      {"summary", result.rule->summary},  {"note", printable(result.findings.text())},
      {"count", result.findings.count()}, {"findings", findings}};
}

io::Json to_json(const std::vector<check::RuleResult>& results) {
  io::Json list = io::Json::array();
  for (const check::RuleResult& result : results)
    list.push_back(to_json(result));
  return list;
}

io::Json to_json(const check::Folder& folder, const check::CheckReport& report) {
  io::Json targets = io::Json::array();
  for (const check::TargetResult& result : report.targets) {
    targets.push_back({{"target", result.target->id},
                       {"verdict", check::name_of(result.verdict())},
                       {"rules", to_json(result.rules)}});
  }
  return {{"folder", printable(folder.path().string())},
          {"layout", folder.layout()},
          {"linears", folder.linears().size()},
          {"verdict", check::name_of(report.verdict())},
          {"rules", to_json(report.layout)},
          {"targets", targets}};
}

std::string_view mark_of(check::Verdict verdict) noexcept {
  return verdict == check::Verdict::fail ? "FAIL" : check::name_of(verdict);
}

std::string one_line(const check::Finding& finding) {
  const std::string gap = finding.where.empty() ? "" : ": ";
  return printable(finding.where + gap + finding.found);
}

/// A rule that is kept says so in its own words; another shows what it found and the fix.
void show(Console& console, const check::RuleResult& result) {
  const check::Findings& findings = result.findings;
  if (findings.verdict() == check::Verdict::ok) {
    const std::string note = findings.text().empty() ? "" : fmt::format(" ({})", findings.text());
    console.result(fmt::format("  ok    {:<24}{}{}", result.rule->id, result.rule->summary, note));
    return;
  }
  std::string id(result.rule->id);
  std::string fix;
  for (std::size_t i = 0; i < findings.kept().size() && i < kMostShown; ++i) {
    const check::Finding& finding = findings.kept()[i];
    const std::string_view mark = id.empty() ? "" : mark_of(findings.verdict());
    console.result(fmt::format("  {:<6}{:<24}{}", mark, id, one_line(finding)));
    if (finding.fix != fix)
      console.result(fmt::format("  {:<30}fix: {}", "", printable(finding.fix)));
    fix = finding.fix;
    id.clear();
  }
  if (findings.count() > kMostShown)
    console.result(
        fmt::format("  {:<30}and {} more like these", "", findings.count() - kMostShown));
}

void show(Console& console, const std::vector<check::RuleResult>& results) {
  for (const check::RuleResult& result : results)
    show(console, result);
}

struct Counts {
  std::size_t ok = 0;
  std::size_t warn = 0;
  std::size_t fail = 0;
};

void count(const std::vector<check::RuleResult>& results, Counts& counts) {
  for (const check::RuleResult& result : results) {
    const check::Verdict verdict = result.findings.verdict();
    counts.ok += verdict == check::Verdict::ok ? 1 : 0;
    counts.warn += verdict == check::Verdict::warn ? 1 : 0;
    counts.fail += verdict == check::Verdict::fail ? 1 : 0;
  }
}

/// One line for an engine: what stands in its way, else what is worth knowing.
void show_verdict(Console& console, const check::TargetResult& result, bool layout_fails) {
  const check::Verdict verdict = layout_fails ? check::Verdict::fail : result.verdict();
  std::string text = layout_fails ? "the rules above fail" : "";
  for (const check::RuleResult& rule : result.rules) {
    if (rule.findings.verdict() != verdict || rule.findings.kept().empty()) continue;
    const std::string gap = text.empty() ? "" : "; ";
    text += gap + fmt::format("{}: {}", rule.rule->id, one_line(rule.findings.kept().front()));
    break;
  }
  if (text.empty()) text = "its own rules are kept as well";
  console.result(fmt::format("  {:<6}{:<24}{}", mark_of(verdict), result.target->id, text));
}

void show_targets(Console& console, const check::CheckReport& report, bool layout_fails) {
  if (report.targets.empty()) {
    console.result("  none of the engines that pare knows reads this layout");
    return;
  }
  console.result("for each engine that reads the layout (details: --target NAME):");
  for (const check::TargetResult& result : report.targets)
    show_verdict(console, result, layout_fails);
}

std::string closing_line(const Counts& counts) {
  return fmt::format("{} failed, {} warned, {} kept", counted(counts.fail, "rule"), counts.warn,
                     counts.ok);
}

/// Without weight files or linears (GGUF, packed folders) the rules tell what there is.
std::string heading(const check::Folder& folder) {
  const std::size_t linears = folder.linears().size();
  const std::size_t files = folder.weights().files.size();
  std::string text = fmt::format("{}: layout {}", folder.path().string(), folder.layout());
  if (linears > 0) text += ", " + counted(linears, "quantized linear");
  if (files > 0) text += (linears > 0 ? " in " : ", ") + counted(files, "weight file");
  return text;
}

void show(Console& console, const check::Folder& folder, const check::CheckReport& report) {
  console.result(printable(heading(folder)));
  show(console, report.layout);
  Counts counts;
  count(report.layout, counts);
  if (report.asked) {
    for (const check::TargetResult& result : report.targets) {
      show(console, result.rules);
      count(result.rules, counts);
    }
  } else {
    show_targets(console, report, counts.fail > 0);
  }
  console.result(closing_line(counts));
}

int run(Session& session, const Options& options) {
  const check::Target* target =
      options.target.empty() ? nullptr : &check::find_target(options.target);
  const check::Folder folder(options.folder);
  const check::CheckReport report =
      check::check_folder(session.ctx, folder, {target, options.tensor_parallel});
  session.console.end_progress();
  if (session.json)
    session.console.json(to_json(folder, report));
  else
    show(session.console, folder, report);
  return report.verdict() == check::Verdict::fail ? kFails : 0;
}

std::string target_names() {
  std::vector<std::string_view> names;
  for (const check::Target* target : check::targets())
    names.push_back(target->id);
  return fmt::format("{}", fmt::join(names, "|"));
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("DIR", options->folder, "folder of a checkpoint, quantized or float")->required();
  app.add_option("--target", options->target,
                 "the engine that is to load it; its own rules count as well")
      ->type_name(target_names());
  app.add_option("--tp", options->tensor_parallel,
                 "devices that are to share the model (tensor parallelism)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1024}));
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
