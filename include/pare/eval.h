// A model at work: tokens, perplexity, comparison of two models, logits, generation.
#pragma once

#include "pare/context.h"
#include "pare/job.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare {

/// Text to token ids and back, exactly as a model's own tokenizer does.
/// Threads: const members may be called from several threads at once.
class Tokenizer {
 public:
  /// Errors: tokenizer_missing naming the files looked for, bad_tokenizer, tokenizer_not_supported.
  explicit Tokenizer(const std::filesystem::path& folder);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Ids of `text` with the special tokens that the tokenizer adds by default (BOS, …).
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// Text of `ids`; special tokens are left out. Bytes of an incomplete UTF-8 sequence become
  /// U+FFFD.
  std::string decode(std::span<const std::int32_t> ids) const;
  /// The vocabulary's own spelling of one id ("▁the", "Ġthe"). Errors: token_out_of_range.
  std::string piece(std::int32_t id) const;

  struct Impl;  // for the library itself
  const Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// A whole text file as UTF-8; UTF-16 and UTF-32 are decoded when they begin with a byte-order mark.
/// One of UTF-8 stays: it is a character like others to a tokenizer. Errors: file_not_found, file_io, bad_dataset for what is no text, naming what it
/// seems to be.
std::string read_text_file(const std::filesystem::path& file);

/// The same of bytes that come from elsewhere; `name` is for messages. Errors: bad_dataset.
std::string as_text(std::string bytes, const std::string& name);

/// A model folder, ready to run: a float checkpoint, or a quantized one in any layout, compressed
/// or not. Of a quantized model, the weights are those its files hold and the inputs of its linears
/// are rounded as its description says.
/// Threads: const members, and functions that take a Model, may be called from several at once.
class Model {
 public:
  /// compute "f32", "bf16", or "auto" for f32, the one to judge by.
  /// Errors: file_not_found, unknown_architecture, bad_config, bad_option_value, those of the
  ///         containers and layouts.
  explicit Model(const std::filesystem::path& folder, std::string_view compute = "auto");
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const std::filesystem::path& folder() const noexcept;
  /// "float", or the id of the layout.
  const std::string& kind() const noexcept;
  std::string_view architecture() const noexcept;  // "llama"
  std::string_view compute() const noexcept;       // "f32", "bf16"
  std::int64_t vocab_size() const noexcept;

  struct Impl;  // for the library itself
  const Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// How a text is cut into windows: protocol, context, windows. Threads: safe.
std::span<const ParamSpec> window_params();

/// The windows of a text that are scored, and the identity of its tokens.
class EvalText {
 public:
  /// Reads and tokenizes with the model's tokenizer and cuts as `params` (window_params()) say;
  /// warns when the windows are longer than the model's positions. A `.jsonl` file of {"text"}
  /// lines is joined by empty lines.
  /// Errors: those of the tokenizer; file_not_found, bad_dataset (also: shorter than one window),
  ///         bad_option_value, unknown_entry.
  EvalText(const Context& ctx, const Model& model, const std::filesystem::path& file,
           const ParamMap& params);
  ~EvalText();
  EvalText(EvalText&&) noexcept;
  EvalText& operator=(EvalText&&) noexcept;

  std::string_view protocol() const noexcept;  // id
  std::int64_t context() const noexcept;       // tokens per window
  std::int64_t windows() const noexcept;
  std::int64_t scored_tokens() const noexcept;     // of all windows
  std::int64_t text_tokens() const noexcept;       // of the whole text
  const std::string& ids_sha256() const noexcept;  // of all tokens of the text

  struct Impl;  // for the library itself
  const Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// All windows have the same length, so the mean over tokens is the mean of the window means.
/// Math: the error of the mean nll is the per-token sample deviation / sqrt(n), as if tokens were
/// independent; neighbours are not quite, so read it as a lower bound.
struct Perplexity {
  double perplexity = 0;
  double stderr_ = 0;  // of the perplexity: ppl times the standard error of the mean nll
  double nll = 0;      // mean negative log likelihood per scored token, in nats
  std::int64_t windows = 0;
  std::int64_t tokens = 0;  // scored
};

/// Memory is bounded: windows go through the blocks in groups of at most 512 MiB.
/// Errors: token_out_of_range; not_finite when logits hold NaN or infinity; interrupted.
/// Threads: those of `ctx`; the same bits for any number.
Perplexity perplexity(const Context& ctx, const Model& model, const EvalText& text);

struct Comparison {
  double kl_mean = 0;  // KL(base || other) per scored token, in nats
  double kl_stderr = 0;
  double kl_max = 0;
  double kl_median = 0;
  double kl_p99 = 0;          // 99 % of the tokens lie below
  double top1_agreement = 0;  // share of scored tokens
  double top1_stderr = 0;
  double perplexity_ratio = 1;  // other / base
  double perplexity_ratio_stderr = 0;
  Perplexity base;
  Perplexity other;
};

/// Both models on the same windows; a model compared with itself gives exactly 0 and 1.
/// Errors: those of perplexity; bad_usage when the vocabularies differ in size.
Comparison compare(const Context& ctx, const Model& base, const Model& other, const EvalText& text);

struct WrittenLogits {
  std::int64_t sequences = 0;
  std::int64_t tokens = 0;
  std::string ids_sha256;
};

/// Logits of whole sequences of token ids, one {"input_ids": […]} per line, into an `.npy` file.
/// Shapes: f32 [tokens, vocabulary], the rows of all sequences in order.
/// Errors: file_not_found, bad_dataset, token_out_of_range, output_not_writable, interrupted.
WrittenLogits write_logits(const Context& ctx, const Model& model,
                           const std::filesystem::path& input_ids,
                           const std::filesystem::path& npy);

struct GenerateOptions {
  std::int64_t max_new_tokens = 64;
  double temperature = 0;  // 0 = greedy
  double top_p = 1;        // keep the smallest set of tokens with at least this probability
  std::uint64_t seed = 0;
};

struct Generated {
  std::string text;  // without the prompt
  std::int64_t prompt_tokens = 0;
  std::int64_t new_tokens = 0;
  bool ended = false;  // the model said end of sequence
};

/// Continues a prompt; `piece` receives text as soon as it is whole UTF-8.
/// Errors: not_finite, token_out_of_range, interrupted.
/// Threads: those of `ctx`; the same text for any number.
Generated generate(const Context& ctx, const Model& model, const Tokenizer& tokenizer,
                   std::string_view prompt, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& piece = {});

}  // namespace pare
