// The decoder of a tokenizer.json: how pieces become text again.
#pragma once

#include "text/json_node.h"

#include <functional>
#include <string>
#include <vector>

namespace pare::text {

/// Steps applied one after the other to the list of pieces, which are joined at the end. Known:
/// ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace, Sequence.
/// Threads: const members may be called from several threads at once.
class Decoder {
 public:
  /// Errors: bad_tokenizer, tokenizer_not_supported naming the unknown type.
  explicit Decoder(const JsonNode& node);

  /// Byte letters to bytes alone.
  static Decoder byte_level();
  /// What the library does without a decoder: pieces with a space between them.
  static Decoder spaces_between();

  std::string apply(std::vector<std::string> pieces) const;

 private:
  using Pieces = std::vector<std::string>;
  using Step = std::function<Pieces(Pieces)>;

  Decoder() = default;
  void add(const JsonNode& node);

  std::vector<Step> steps_;
};

}  // namespace pare::text
