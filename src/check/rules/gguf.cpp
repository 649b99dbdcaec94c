// Rules of GGUF files: what llama.cpp asks for before it runs a model, and what it silently assumes.
#include "check/rule_help.h"
#include "pare/error.h"
#include "containers/gguf/file.h"
#include "io/file.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array kGgufOnly = {kGguf};
constexpr std::string_view kSource = "llama.cpp's loader, each key left out in turn; docs/formats/gguf.md";

std::vector<std::string> gguf_files(const Folder& folder) {
  std::vector<std::string> names;
  for (const std::string& name : folder.files()) {
    if (name.ends_with(".gguf")) names.push_back(name);
  }
  return names;
}

/// The header of the only file; for rules that need one: `gguf-readable` says what is wrong when
/// there is none.
class File {
 public:
  explicit File(const Folder& folder) {
    const std::vector<std::string> names = gguf_files(folder);
    if (names.size() != 1) return;
    name_ = names.front();
    try {
      file_.emplace(folder.path() / name_);
      header_ = containers::parse_gguf_header(file_->bytes(), name_);
    } catch (const Error& error) {
      problem_ = error.detail();
    }
  }

  const std::string& name() const noexcept { return name_; }
  const std::string& problem() const noexcept { return problem_; }
  const containers::GgufHeader* header() const noexcept { return header_ ? &*header_ : nullptr; }

  /// nullptr when the key is absent or has another type.
  template <typename T>
  const T* value(std::string_view key) const {
    if (!header_) return nullptr;
    const auto found = header_->values.find(key);
    return found == header_->values.end() ? nullptr : std::get_if<T>(&found->second);
  }
  std::string architecture() const {
    const auto* text = value<std::string>("general.architecture");
    return text != nullptr ? *text : "";
  }
  const containers::GgufTensor* tensor(std::string_view name) const {
    if (!header_) return nullptr;
    const auto found = std::find_if(header_->tensors.begin(), header_->tensors.end(),
                                    [&](const containers::GgufTensor& t) { return t.name == name; });
    return found == header_->tensors.end() ? nullptr : &*found;
  }

 private:
  std::string name_;
  std::string problem_;
  std::optional<io::MappedFile> file_;
  std::optional<containers::GgufHeader> header_;
};

void check_readable(const Subject& subject, Findings& findings) {
  const std::vector<std::string> names = gguf_files(subject.folder);
  if (names.size() > 1) {
    findings.fail("", fmt::format("{} GGUF files: {}", names.size(), some_of(names)),
                  "leave one in the folder; parts are joined by llama.cpp's gguf-split --merge");
    return;
  }
  const File file(subject.folder);
  if (!file.problem().empty()) findings.fail(file.name(), file.problem(), "fetch the file again");
}

void check_keys(const Subject& subject, Findings& findings) {
  const File file(subject.folder);
  if (file.header() == nullptr) return;
  const std::string arch = file.architecture();
  if (arch.empty()) {
    findings.fail(file.name(), "general.architecture is not a text",
                  "write the file again: without it nothing can be loaded");
    return;
  }
  constexpr std::array kSizes = {"context_length",       "embedding_length", "block_count",
                                 "feed_forward_length",  "attention.head_count",
                                 "attention.head_count_kv"};
  for (const char* size : kSizes) {
    const std::string key = arch + "." + size;
    const auto* number = file.value<std::uint64_t>(key);
    if (number != nullptr && *number > 0) continue;
    findings.fail(file.name(), key + " is no whole number above 0", "write the file with this key");
  }
  const std::string epsilon = arch + ".attention.layer_norm_rms_epsilon";
  if (file.value<double>(epsilon) == nullptr) {
    findings.fail(file.name(), epsilon + " is no number", "write the file with this key");
  }
}

void check_rotary(const Subject& subject, Findings& findings) {
  const File file(subject.folder);
  if (file.header() == nullptr) return;
  const std::string key = file.architecture() + ".rope.freq_base";
  if (file.value<double>(key) != nullptr) return;
  findings.warn(file.name(), key + " is not stated: llama.cpp takes 10000",
                "write the key with the model's rope_theta");
}

void check_vocabulary(const Subject& subject, Findings& findings) {
  const File file(subject.folder);
  if (file.header() == nullptr) return;
  const auto* model = file.value<std::string>("tokenizer.ggml.model");
  if (model == nullptr) {
    findings.fail(file.name(), "tokenizer.ggml.model is not stated",
                  "write the file with the tokenizer beside the model");
    return;
  }
  if (*model == "none") {
    findings.warn(file.name(), "there is no tokenizer: the file takes token ids and no text",
                  "put the tokenizer's files beside the model and write the file again");
    return;
  }
  if (*model == "gpt2" && file.value<containers::GgufArray>("tokenizer.ggml.merges") == nullptr) {
    findings.fail(file.name(), "tokenizer.ggml.merges is missing",
                  "write the file with the tokenizer's merges");
  }
  const auto* tokens = file.value<containers::GgufArray>("tokenizer.ggml.tokens");
  const containers::GgufTensor* embedding = file.tensor("token_embd.weight");
  if (tokens == nullptr) {
    findings.fail(file.name(), "tokenizer.ggml.tokens is missing", "write the file with its tokens");
  } else if (embedding != nullptr && embedding->shape.rank() == 2 &&
             tokens->count != static_cast<std::uint64_t>(embedding->shape[0])) {
    findings.fail(file.name(),
                  fmt::format("{} tokens, but the embedding has {} rows", tokens->count,
                              embedding->shape[0]),
                  "fill the vocabulary up to the rows of the embedding");
  }
}

void check_pre_tokenizer(const Subject& subject, Findings& findings) {
  const File file(subject.folder);
  const auto* model = file.value<std::string>("tokenizer.ggml.model");
  if (model == nullptr || *model != "gpt2") return;
  const auto* pre = file.value<std::string>("tokenizer.ggml.pre");
  if (pre != nullptr && *pre != "default") return;
  findings.warn(file.name(),
                "tokenizer.ggml.pre names no way to cut words: some texts get other token ids",
                "write the name that llama.cpp has for this tokenizer, such as qwen2 or llama-bpe");
}

void check_tensors(const Subject& subject, Findings& findings) {
  const File file(subject.folder);
  if (file.header() == nullptr) return;
  std::vector<std::string> missing;
  const auto need = [&](const std::string& name) {
    if (file.tensor(name) == nullptr) missing.push_back(name);
  };
  need("token_embd.weight");
  need("output_norm.weight");
  const auto* blocks = file.value<std::uint64_t>(file.architecture() + ".block_count");
  constexpr std::uint64_t kMostBlocks = 10'000;
  for (std::uint64_t i = 0; blocks != nullptr && i < std::min(*blocks, kMostBlocks); ++i) {
    for (const char* part : {"attn_norm", "ffn_norm", "attn_output", "ffn_down"})
      need(fmt::format("blk.{}.{}.weight", i, part));
  }
  if (missing.empty()) return;
  findings.fail(file.name(), fmt::format("tensors are missing: {}", some_of(missing)),
                "the file is incomplete: write it again");
}

/// Norms and biases in another type make llama.cpp's CPU backend stop the program.
void check_vectors(const Subject& subject, Findings& findings) {
  const File file(subject.folder);
  if (file.header() == nullptr) return;
  for (const containers::GgufTensor& tensor : file.header()->tensors) {
    if (tensor.shape.rank() != 1 || tensor.block->type == containers::GgufType::f32) continue;
    findings.fail(tensor.name, fmt::format("it is {}", tensor.block->name),
                  "write norms and biases as F32");
  }
}

constexpr std::array kRules = {
    Rule{"gguf-readable", "there is one GGUF file, and its header is whole", kGgufOnly, {},
         kSource, check_readable},
    Rule{"gguf-keys", "the keys without which nothing loads are there", kGgufOnly, {}, kSource,
         check_keys},
    Rule{"gguf-rotary-base", "the base of rotary positions is stated", kGgufOnly, {}, kSource,
         check_rotary},
    Rule{"gguf-vocabulary", "there are as many tokens as rows of the embedding", kGgufOnly, {},
         kSource, check_vocabulary},
    Rule{"gguf-pre-tokenizer", "the way to cut words has a name that llama.cpp knows", kGgufOnly,
         {}, kSource, check_pre_tokenizer},
    Rule{"gguf-tensors", "embedding, final norm and the parts of every block are there", kGgufOnly,
         {}, kSource, check_tensors},
    Rule{"gguf-vectors-f32", "norms and biases are F32", kGgufOnly, {}, kSource, check_vectors},
};

}  // namespace

extern const RuleFamily gguf_rules;
constinit const RuleFamily gguf_rules = {"gguf", kRules};

}  // namespace pare::check
