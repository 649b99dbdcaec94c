// Rules about the safetensors files, each by itself and as a set.
#include "check/rule_help.h"
#include "containers/numbered_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace pare::check {
namespace {

constexpr std::string_view kSource = "huggingface/safetensors, format description";
constexpr std::string_view kEnding = ".safetensors";

void check_headers(const Subject& subject, Findings& findings) {
  const std::vector<WeightFile>& files = subject.folder.weights().files;
  if (files.empty()) {
    findings.fail("", "there is no *.safetensors file", "fetch the weights");
    return;
  }
  for (const WeightFile& file : files) {
    if (file.unsupported)
      findings.no_rules(file.name, file.problem);
    else if (!file.problem.empty())
      findings.fail(file.name, file.problem, file.remedy);
  }
}

void check_metadata(const Subject& subject, Findings& findings) {
  constexpr const char* kFix = "save the tensors again with metadata={\"format\": \"pt\"}: ";
  for (const WeightFile& file : subject.folder.weights().files) {
    if (!file.chosen || !file.problem.empty()) continue;
    const auto stated = file.metadata.find("format");
    const std::string format = stated == file.metadata.end() ? "" : stated->second;
    if (format == "pt" || format == "mlx") continue;  // both hold the names that transformers reads
    if (file.metadata.empty())
      findings.warn(file.name, "the header has no __metadata__",
                    kFix + std::string("transformers before 4.48.2 refuses files without it"));
    else
      findings.fail(file.name, fmt::format("the header says \"format\": \"{}\"", format),
                    kFix + std::string("transformers refuses files without it"));
  }
}

void check_twins(const Subject& subject, Findings& findings) {
  for (const std::string& twin : subject.folder.weights().twins)
    findings.fail("", twin, "remove the file that belongs to another save");
}

void check_sets(const Subject& subject, Findings& findings) {
  std::map<std::pair<std::string, int>, std::set<int>> sets;
  for (const WeightFile& file : subject.folder.weights().files) {
    const auto shard = containers::numbered_name(file.name, kEnding);
    if (shard) sets[{shard->base, shard->count}].insert(shard->number);
  }
  for (const auto& [set, present] : sets) {
    const auto& [base, count] = set;
    if (present.size() == static_cast<std::size_t>(count)) continue;
    int first = 1;
    while (present.contains(first))
      ++first;
    findings.fail("",
                  fmt::format("{} of the {} shards {}-*: number {} is missing", present.size(),
                              count, base, first),
                  "fetch the missing shards");
  }
}

/// Several files that no index and no numbering ties together.
void check_stray(const Subject& subject, Findings& findings) {
  const Weights& weights = subject.folder.weights();
  std::vector<std::string> loose;
  for (const WeightFile& file : weights.files) {
    const bool counted = weights.index() != nullptr
                             ? file.chosen
                             : containers::numbered_name(file.name, kEnding).has_value();
    if (!counted) loose.push_back(file.name);
  }
  const std::size_t allowed = weights.index() == nullptr && weights.files.size() == 1 ? 1 : 0;
  if (loose.size() <= allowed) return;
  findings.warn("", fmt::format("{} belong to no index and no set of shards", some_of(loose)),
                "remove weight files that are not part of this model: some loaders open every "
                "*.safetensors file");
}

constexpr std::array kRules = {
    Rule{"weights-readable",
         "the header of every weight file is whole: sizes, types, no gap, no overlap",
         kWithSafetensors,
         {},
         kSource,
         check_headers},
    Rule{"weights-metadata",
         "every weight file says \"format\": \"pt\"",
         kSafetensorsLayouts,
         {},
         "transformers, load_state_dict: another format is refused, before 4.48.2 also none",
         check_metadata,
         kTensors},
    Rule{"tensors-once",
         "no tensor lies in two files",
         kWithSafetensors,
         {},
         kSource,
         check_twins,
         kTensors},
    Rule{"shards-complete",
         "of numbered shards all are there",
         kWithSafetensors,
         {},
         "huggingface_hub, names of shards",
         check_sets},
    Rule{"no-stray-weights",
         "there are no weight files besides those of the model",
         kWithSafetensors,
         {},
         "vllm, DefaultModelLoader: the glob *.safetensors",
         check_stray},
};

}  // namespace

extern const RuleFamily container_rules;
constinit const RuleFamily container_rules = {"container", kRules};

}  // namespace pare::check
