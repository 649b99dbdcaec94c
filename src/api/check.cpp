// What a folder is, and whether engines would load it.
#include "pare/check.h"

#include "check/checker.h"
#include "check/folder.h"
#include "containers/tensor_source.h"
#include "pipeline/inspect/inspect.h"
#include "pipeline/open/model_path.h"

#include <utility>

namespace pare {
namespace {

RuleOutcome outcome_of(const check::RuleResult& result) {
  return {.rule = result.rule->id,
          .summary = result.rule->summary,
          .verdict = result.findings.verdict(),
          .note = result.findings.text(),
          .count = result.findings.count(),
          .findings = result.findings.kept()};
}

std::vector<RuleOutcome> outcomes_of(const std::vector<check::RuleResult>& results) {
  std::vector<RuleOutcome> outcomes;
  for (const check::RuleResult& result : results)
    outcomes.push_back(outcome_of(result));
  return outcomes;
}

ModelShape shape_of(const model::ModelConfig& config) {
  return {.architecture = std::string(config.architecture),
          .layers = config.layers,
          .hidden_size = config.hidden_size,
          .intermediate_size = config.intermediate_size,
          .heads = config.attention.heads,
          .kv_heads = config.attention.kv_heads,
          .head_dim = config.attention.head_dim,
          .vocab_size = config.vocab_size};
}

}  // namespace

FolderCheck check_folder(const Context& ctx, const std::filesystem::path& folder,
                         const CheckFor& options) {
  const check::Target* target =
      options.target.empty() ? nullptr : &check::find_target(options.target);
  const check::Folder subject(pipeline::model_folder(folder));
  const check::CheckReport report =
      check::check_folder(ctx, subject, {target, options.tensor_parallel});
  FolderCheck result{.folder = subject.path(),
                     .layout = subject.layout(),
                     .recognised = subject.recognised(),
                     .linears = subject.linears().size(),
                     .weight_files = subject.weights().files.size(),
                     .verdict = report.verdict(),
                     .rules = outcomes_of(report.layout),
                     .targets = {}};
  for (const check::TargetResult& asked : report.targets) {
    result.targets.push_back({asked.target->id, asked.verdict(), outcomes_of(asked.rules)});
  }
  return result;
}

FolderFacts inspect_folder(const Context& ctx, const std::filesystem::path& model, bool scan) {
  const auto folder = pipeline::folder_of_weights(model);
  pipeline::Inspection in = pipeline::inspect(ctx, folder.value_or(model), scan);
  FolderFacts facts{.model = std::move(in.model_label),
                    .shape = std::nullopt,
                    .problem = std::move(in.graph_problem),
                    .quantized = std::move(in.quantized),
                    .tensors = {},
                    .files = in.source->files().size(),
                    .packed = in.packed,
                    .linears = {},
                    .sizes = std::move(in.sizes),
                    .problems = std::move(in.problems),
                    .scanned = in.scanned,
                    .parameters = in.parameters,
                    .bytes = in.bytes,
                    .tied_head = in.tied_head};
  if (in.graph.has_value()) facts.shape = shape_of(in.graph->config);
  for (const containers::TensorInfo& tensor : in.source->tensors()) {
    facts.tensors.push_back(
        {tensor.name, std::string(tensor.type_name()), tensor.shape, tensor.nbytes()});
  }
  for (model::Module& linear : in.linears)
    facts.linears.push_back(std::move(linear.name));
  return facts;
}

}  // namespace pare
