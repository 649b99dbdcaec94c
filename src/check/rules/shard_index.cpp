// Rules about *.safetensors.index.json: loaders believe it, not the files.
#include "check/rule_help.h"

#include <fmt/format.h>

#include <map>
#include <set>

namespace pare::check {
namespace {

constexpr std::string_view kUsualIndex = "model.safetensors.index.json";
constexpr const char* kStale =
    "an index of the float model stays behind easily: delete it when there is one weight file, "
    "else "
    "write it from the files";
constexpr const char* kRewrite = "write the index again from the files";

/// nullptr when there is none, which keeps every rule about it, or when it cannot be read.
const WeightIndex* usable_index(const Folder& folder, Findings& findings) {
  const WeightIndex* index = folder.weights().index();
  if (index == nullptr || index->problem.empty()) return index;
  findings.not_looked_at("the index cannot be read");
  return nullptr;
}

void check_readable(const Subject& subject, Findings& findings) {
  const Weights& weights = subject.folder.weights();
  const WeightIndex* index = weights.index();
  if (index == nullptr) return;
  if (!index->problem.empty()) {
    findings.fail(index->name, index->problem, "fetch the index again, or write it from the files");
  } else if (!index->has_metadata) {
    findings.fail(index->name, "it has no object \"metadata\"",
                  "add \"metadata\": {\"total_size\": ...}: transformers reads it");
  }
  if (weights.indexes.size() < 2 || index->name == kUsualIndex) return;
  findings.fail(
      "", fmt::format("there are {} indexes, and none is {}", weights.indexes.size(), kUsualIndex),
      "keep the one that names the files of this model");
}

void check_files(const Subject& subject, Findings& findings) {
  const WeightIndex* index = usable_index(subject.folder, findings);
  if (index == nullptr) return;
  std::map<std::string, std::size_t> absent;  // tensors by the file they should lie in
  for (const auto& [tensor, file] : index->file_of) {
    if (subject.folder.weights().file(file) == nullptr) ++absent[file];
  }
  for (const auto& [file, tensors] : absent)
    findings.fail(index->name,
                  fmt::format("it puts {} tensors into {}, which is not there", tensors, file),
                  std::string("fetch the file; ") + kStale);
}

void check_tensors(const Subject& subject, Findings& findings) {
  const WeightIndex* index = usable_index(subject.folder, findings);
  if (index == nullptr) return;
  std::map<std::string, std::vector<std::string>> wrong;  // by the file they should lie in
  for (const auto& [tensor, file] : index->file_of) {
    const WeightFile* there = subject.folder.weights().file(file);
    if (there == nullptr || !there->problem.empty()) continue;  // other rules report those
    const StoredTensor* stored = subject.folder.weights().find(tensor);
    if (stored == nullptr || stored->file->name != file) wrong[file].push_back(tensor);
  }
  for (const auto& [file, tensors] : wrong)
    findings.fail(index->name,
                  fmt::format("{} not in {}: {}", tensors.size(), file, some_of(tensors)),
                  std::string("the index is stale: ") + kRewrite);
}

void check_complete(const Subject& subject, Findings& findings) {
  const WeightIndex* index = usable_index(subject.folder, findings);
  if (index == nullptr) return;
  std::vector<std::string> left_out;
  for (const auto& [name, tensor] : subject.folder.weights().tensors) {
    if (!index->file_of.contains(name)) left_out.push_back(name);
  }
  if (left_out.empty()) return;
  findings.fail(index->name,
                fmt::format("{} tensors are not in it: {}", left_out.size(), some_of(left_out)),
                std::string("loaders will not see them: ") + kRewrite);
}

void check_total_size(const Subject& subject, Findings& findings) {
  const WeightIndex* index = usable_index(subject.folder, findings);
  if (index == nullptr) return;
  if (!index->has_metadata) return findings.not_looked_at("the index has no metadata");
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : subject.folder.weights().tensors)
    bytes += static_cast<std::int64_t>(tensor.end - tensor.begin);
  if (index->total_size == bytes) return;
  findings.warn(
      index->name,
      fmt::format("total_size is {}, the tensors take {} bytes",
                  index->total_size ? std::to_string(*index->total_size) : "absent", bytes),
      "set metadata.total_size to the bytes of all tensors");
}

constexpr std::array kRules = {
    Rule{"index-readable",
         "the index has metadata and a weight_map, and it is clear which one counts",
         kWithSafetensors,
         {},
         "transformers, get_checkpoint_shard_files",
         check_readable},
    Rule{"index-files",
         "every file that the index names is there",
         kWithSafetensors,
         {},
         "AutoGPTQ, GPTQModel and transformers follow the index before they look for "
         "model.safetensors",
         check_files},
    Rule{"index-tensors",
         "every tensor of the index lies in the file it says",
         kWithSafetensors,
         {},
         "transformers, get_checkpoint_shard_files",
         check_tensors,
         kTensors},
    Rule{"index-complete",
         "the index names every tensor",
         kWithSafetensors,
         {},
         "vllm, filter_duplicate_safetensors_files",
         check_complete,
         kTensors},
    Rule{"index-total-size",
         "total_size is the sum of all tensors",
         kWithSafetensors,
         {},
         "transformers, device maps are made with it",
         check_total_size,
         kTensors},
};

}  // namespace

extern const RuleFamily shard_index_rules;
constinit const RuleFamily shard_index_rules = {"shard_index", kRules};

}  // namespace pare::check
