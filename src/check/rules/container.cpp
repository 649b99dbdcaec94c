// Rules about the safetensors files, each by itself and as a set.
#include "check/rule_help.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace pare::check {
namespace {

constexpr std::string_view kSource = "huggingface/safetensors, format description";

void check_headers(const Subject& subject, Findings& findings) {
  const std::vector<WeightFile>& files = subject.folder.weights().files;
  if (files.empty()) {
    findings.fail("", "there is no *.safetensors file", "fetch the weights");
    return;
  }
  for (const WeightFile& file : files) {
    if (!file.problem.empty())
      findings.fail(file.name, file.problem, "the file is damaged or cut off: fetch it again");
  }
}

void check_metadata(const Subject& subject, Findings& findings) {
  for (const WeightFile& file : subject.folder.weights().files) {
    if (!file.chosen || !file.problem.empty()) continue;
    const auto format = file.metadata.find("format");
    if (format != file.metadata.end() && format->second == "pt") continue;
    findings.fail(file.name,
                  format == file.metadata.end()
                      ? "the header has no __metadata__ with \"format\": \"pt\""
                      : fmt::format("the header says \"format\": \"{}\"", format->second),
                  "save the tensors again with metadata={\"format\": \"pt\"}: transformers refuses "
                  "files without it");
  }
}

void check_twins(const Subject& subject, Findings& findings) {
  for (const std::string& twin : subject.folder.weights().twins)
    findings.fail("", twin, "remove the file that belongs to another save");
}

/// "base", 2 and 5 of "base-00002-of-00005.safetensors".
struct Numbered {
  std::string base;
  int number = 0;
  int count = 0;
};

std::optional<int> number_in(std::string_view text) {
  int value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || value < 1 || value > 100000)
    return std::nullopt;
  return value;
}

std::optional<Numbered> numbered(std::string_view name) {
  constexpr std::string_view kEnding = ".safetensors";
  const std::string_view stem = name.substr(0, name.size() - kEnding.size());
  const std::size_t of = stem.rfind("-of-");
  if (of == std::string_view::npos || of == 0) return std::nullopt;
  const std::size_t dash = stem.rfind('-', of - 1);
  if (dash == std::string_view::npos) return std::nullopt;
  const auto number = number_in(stem.substr(dash + 1, of - dash - 1));
  const auto count = number_in(stem.substr(of + 4));
  if (!number || !count) return std::nullopt;
  return Numbered{std::string(stem.substr(0, dash)), *number, *count};
}

void check_sets(const Subject& subject, Findings& findings) {
  std::map<std::pair<std::string, int>, std::set<int>> sets;
  for (const WeightFile& file : subject.folder.weights().files) {
    const auto shard = numbered(file.name);
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
    const bool counted = weights.index() != nullptr ? file.chosen : numbered(file.name).has_value();
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
         kSafetensorsLayouts,
         {},
         kSource,
         check_headers},
    Rule{"weights-metadata",
         "every weight file says \"format\": \"pt\"",
         kSafetensorsLayouts,
         {},
         "transformers, load_state_dict: files without it are refused",
         check_metadata},
    Rule{"tensors-once",
         "no tensor lies in two files",
         kSafetensorsLayouts,
         {},
         kSource,
         check_twins},
    Rule{"shards-complete",
         "of numbered shards all are there",
         kSafetensorsLayouts,
         {},
         "huggingface_hub, names of shards",
         check_sets},
    Rule{"no-stray-weights",
         "there are no weight files besides those of the model",
         kSafetensorsLayouts,
         {},
         "vllm, DefaultModelLoader: the glob *.safetensors",
         check_stray},
};

}  // namespace

extern const RuleFamily container_rules;
constinit const RuleFamily container_rules = {"container", kRules};

}  // namespace pare::check
