// Rules of GGUF files: what llama.cpp asks for before it runs a model, and what it silently
// assumes. Every model of a folder is looked at by itself.
#include "check/layouts/gguf_models.h"
#include "check/rule_help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace pare::check {
namespace {

constexpr std::array kGgufOnly = {kGguf};
constexpr std::string_view kSource =
    "llama.cpp's loader, each key left out in turn; docs/formats/gguf.md";

/// For rules that need the headers: `gguf-readable` says what is wrong with them.
template <typename Check>
void for_whole_models(const Subject& subject, Findings& findings, Check check) {
  for (const GgufModel& model : gguf_models(subject.folder)) {
    if (model.whole())
      check(model);
    else
      findings.not_looked_at(model.name() + " cannot be read, or parts of it are missing");
  }
}

/// Architectures whose parts were looked at; others have other keys and tensors.
bool is_looked_at(const GgufModel& model) {
  constexpr std::array<std::string_view, 4> kArchitectures = {"llama", "qwen2", "qwen3", "chatglm"};
  const std::string arch = model.architecture();
  return std::find(kArchitectures.begin(), kArchitectures.end(), arch) != kArchitectures.end();
}

void pass_over_architecture(const GgufModel& model, Findings& findings) {
  findings.not_looked_at(
      fmt::format("{}: Pare knows the parts of llama, qwen2, qwen3 and chatglm, "
                  "not those of \"{}\"",
                  model.name(), model.architecture()));
}

void check_file(const GgufFile& file, Findings& findings) {
  if (file.unsupported)
    findings.no_rules(file.name, file.problem);
  else if (!file.problem.empty())
    findings.fail(file.name, file.problem, file.remedy);
}

/// The types in the files, for people who look for "Q4_K".
std::string types_in(const GgufModel& model) {
  std::set<std::string_view> types;
  for (const containers::GgufTensor* tensor : model.tensors())
    types.insert(tensor->block->name);
  return fmt::format("{}", fmt::join(types, ", "));
}

void check_readable(const Subject& subject, Findings& findings) {
  std::vector<std::string> told;
  for (const GgufModel& model : gguf_models(subject.folder)) {
    for (const GgufFile& file : model.files())
      check_file(file, findings);
    if (!model.missing().empty())
      findings.fail(model.name(),
                    fmt::format("of its {} parts {} are missing: {}", model.parts(),
                                model.missing().size(), fmt::join(model.missing(), ", ")),
                    "fetch the missing parts");
    if (!model.whole()) continue;
    const std::string parts = model.parts() > 1 ? fmt::format(" in {} parts", model.parts()) : "";
    told.push_back(fmt::format("{}{}: {}", model.name(), parts, types_in(model)));
  }
  findings.note(fmt::format("{}", fmt::join(told, "; ")));
}

/// A file that is there to be used with another, such as a projector of images, is no model.
bool is_part_of_another(const GgufModel& model) {
  const auto* type = model.value<std::string>("general.type");
  return (type != nullptr && *type != "model") || model.architecture() == "clip";
}

void check_sizes(const GgufModel& model, Findings& findings) {
  constexpr std::array kSizes = {"context_length", "embedding_length", "block_count",
                                 "feed_forward_length", "attention.head_count"};
  for (const char* size : kSizes) {
    const std::string key = model.architecture() + "." + size;
    const auto* number = model.value<std::uint64_t>(key);
    const bool per_block = model.value<containers::GgufArray>(key) != nullptr;
    if (per_block || (number != nullptr && *number > 0)) continue;
    findings.fail(model.name(), key + " is no whole number above 0",
                  "write the file with this key");
  }
  const std::string epsilon = model.architecture() + ".attention.layer_norm_rms_epsilon";
  if (model.value<double>(epsilon) == nullptr)
    findings.fail(model.name(), epsilon + " is no number", "write the file with this key");
}

/// Without the key there are as many heads of keys as of queries, and k has as many rows as q.
void check_kv_heads(const GgufModel& model, Findings& findings) {
  const std::string key = model.architecture() + ".attention.head_count_kv";
  if (model.value<containers::GgufArray>(key) != nullptr) return;
  const auto* number = model.value<std::uint64_t>(key);
  const containers::GgufTensor* q = model.tensor("blk.0.attn_q.weight");
  const containers::GgufTensor* k = model.tensor("blk.0.attn_k.weight");
  const bool alike = q != nullptr && k != nullptr && q->shape == k->shape;
  if (model.has(key) ? number != nullptr && *number > 0 : alike) return;
  findings.fail(model.name(), key + " is no whole number above 0", "write the file with this key");
}

void check_keys(const Subject& subject, Findings& findings) {
  for_whole_models(subject, findings, [&](const GgufModel& model) {
    if (model.architecture().empty())
      return findings.fail(model.name(), "general.architecture is not a text",
                           "write the file again: without it nothing can be loaded");
    if (!is_looked_at(model)) return pass_over_architecture(model, findings);
    check_sizes(model, findings);
    check_kv_heads(model, findings);
  });
}

void check_rotary(const Subject& subject, Findings& findings) {
  for_whole_models(subject, findings, [&](const GgufModel& model) {
    if (!is_looked_at(model)) return pass_over_architecture(model, findings);
    const std::string key = model.architecture() + ".rope.freq_base";
    if (model.value<double>(key) != nullptr) return;
    findings.warn(model.name(), key + " is not stated: llama.cpp takes 10000",
                  "write the key with the model's rope_theta");
  });
}

void check_tokens(const GgufModel& model, Findings& findings) {
  const auto* tokens = model.value<containers::GgufArray>("tokenizer.ggml.tokens");
  const containers::GgufTensor* embedding = model.tensor("token_embd.weight");
  if (tokens == nullptr) {
    findings.fail(model.name(), "tokenizer.ggml.tokens is missing",
                  "write the file with its tokens");
  } else if (embedding != nullptr && embedding->shape.rank() == 2 &&
             tokens->count != static_cast<std::uint64_t>(embedding->shape[0])) {
    findings.fail(
        model.name(),
        fmt::format("{} tokens, but the embedding has {} rows", tokens->count, embedding->shape[0]),
        "fill the vocabulary up to the rows of the embedding");
  }
}

void check_vocabulary(const Subject& subject, Findings& findings) {
  for_whole_models(subject, findings, [&](const GgufModel& model) {
    if (is_part_of_another(model)) return;
    const auto* kind = model.value<std::string>("tokenizer.ggml.model");
    if (kind == nullptr)
      return findings.fail(model.name(), "tokenizer.ggml.model is not stated",
                           "write the file with the tokenizer beside the model");
    if (*kind == "none")
      return findings.warn(model.name(),
                           "there is no tokenizer: the file takes token ids and no text",
                           "put the tokenizer's files beside the model and write the file again");
    if (*kind == "gpt2" && model.value<containers::GgufArray>("tokenizer.ggml.merges") == nullptr)
      findings.fail(model.name(), "tokenizer.ggml.merges is missing",
                    "write the file with the tokenizer's merges");
    check_tokens(model, findings);
  });
}

void check_pre_tokenizer(const Subject& subject, Findings& findings) {
  for_whole_models(subject, findings, [&](const GgufModel& model) {
    const auto* kind = model.value<std::string>("tokenizer.ggml.model");
    if (kind == nullptr || *kind != "gpt2") return;
    const auto* pre = model.value<std::string>("tokenizer.ggml.pre");
    if (pre != nullptr && *pre != "default") return;
    findings.warn(
        model.name(),
        "tokenizer.ggml.pre names no way to cut words: some texts get other token ids",
        "write the name that llama.cpp has for this tokenizer, such as qwen2 or llama-bpe");
  });
}

void check_parts(const GgufModel& model, Findings& findings) {
  std::vector<std::string> missing;
  const auto need = [&](const std::string& name) {
    if (model.tensor(name) == nullptr) missing.push_back(name);
  };
  need("token_embd.weight");
  need("output_norm.weight");
  const auto* blocks = model.value<std::uint64_t>(model.architecture() + ".block_count");
  const bool experts = model.has(model.architecture() + ".expert_count");
  constexpr std::uint64_t kMostBlocks = 10'000;
  for (std::uint64_t i = 0; blocks != nullptr && i < std::min(*blocks, kMostBlocks); ++i) {
    for (const char* part : {"attn_norm", "ffn_norm", "attn_output"})
      need(fmt::format("blk.{}.{}.weight", i, part));
    if (!experts) need(fmt::format("blk.{}.ffn_down.weight", i));
  }
  if (!missing.empty())
    findings.fail(model.name(), fmt::format("tensors are missing: {}", some_of(missing)),
                  "the file is incomplete: write it again");
}

void check_tensors(const Subject& subject, Findings& findings) {
  for_whole_models(subject, findings, [&](const GgufModel& model) {
    if (is_looked_at(model))
      check_parts(model, findings);
    else
      pass_over_architecture(model, findings);
  });
}

/// Norms and biases in another type make llama.cpp's CPU backend stop the program.
void check_vectors(const Subject& subject, Findings& findings) {
  for_whole_models(subject, findings, [&](const GgufModel& model) {
    if (!is_looked_at(model)) return pass_over_architecture(model, findings);
    for (const containers::GgufTensor* tensor : model.tensors()) {
      if (tensor->shape.rank() != 1 || tensor->block->type == containers::GgufType::f32) continue;
      findings.fail(tensor->name, fmt::format("it is {}", tensor->block->name),
                    "write norms and biases as F32");
    }
  });
}

constexpr std::array kRules = {
    Rule{"gguf-readable",
         "every part of every model is there, and its header is whole",
         kGgufOnly,
         {},
         kSource,
         check_readable},
    Rule{"gguf-keys",
         "the keys without which nothing loads are there",
         kGgufOnly,
         {},
         kSource,
         check_keys},
    Rule{"gguf-rotary-base",
         "the base of rotary positions is stated",
         kGgufOnly,
         {},
         kSource,
         check_rotary},
    Rule{"gguf-vocabulary",
         "there are as many tokens as rows of the embedding",
         kGgufOnly,
         {},
         kSource,
         check_vocabulary},
    Rule{"gguf-pre-tokenizer",
         "the way to cut words has a name that llama.cpp knows",
         kGgufOnly,
         {},
         kSource,
         check_pre_tokenizer},
    Rule{"gguf-tensors",
         "embedding, final norm and the parts of every block are there",
         kGgufOnly,
         {},
         kSource,
         check_tensors},
    Rule{"gguf-vectors-f32", "norms and biases are F32", kGgufOnly, {}, kSource, check_vectors},
};

}  // namespace

extern const RuleFamily gguf_rules;
constinit const RuleFamily gguf_rules = {"gguf", kRules};

}  // namespace pare::check
