// The pre-tokenizer of a tokenizer.json: cuts normalized text into the words that BPE sees.
#pragma once

#include "text/json_node.h"

#include <functional>
#include <string>
#include <vector>

namespace pare::text {

/// A stretch of text that BPE may merge within, never across.
struct Word {
  std::string text;
  bool at_start = false;  // begins at the first byte of the text being encoded
};

/// Steps applied one after the other. Known: ByteLevel, Split, Metaspace, Digits, Sequence.
/// Threads: const members may be called from several threads at once.
class PreTokenizer {
 public:
  /// No steps: the whole stretch is one word.
  PreTokenizer() = default;
  /// Errors: bad_tokenizer, tokenizer_not_supported naming the unknown type.
  explicit PreTokenizer(const JsonNode& node);

  /// Cuts at `pattern` (Oniguruma dialect), then spells bytes as letters.
  static PreTokenizer split_then_bytes(std::string_view pattern);

  /// The words of a stretch, in order, none empty.
  std::vector<Word> apply(std::string valid_text, bool at_start) const;

 private:
  using Step = std::function<std::vector<Word>(std::vector<Word>)>;
  void add(const JsonNode& node);
  void add_byte_level(const JsonNode& node);
  void add_metaspace(const JsonNode& node);

  std::vector<Step> steps_;
};

/// The word pattern of GPT-2, which ByteLevel with `use_regex` cuts at.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The word pattern of Qwen2: as GPT-4's, with digits one by one.
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

}  // namespace pare::text
