// A look at the bytes of a SentencePiece model before the library gets them.
#pragma once

#include <string_view>

namespace pare::text {

/// Throws bad_tokenizer unless `model` is a complete protobuf ModelProto whose character maps stay
/// inside themselves. The library follows the double-array trie of a map without bounds, and takes
/// a file that ends between two fields for a whole one.
/// Source: sentencepiece_model.proto (Apache-2.0); Yata, Darts-clone, for the units of the trie.
void check_sentencepiece_model(std::string_view model);

/// What a model's file says of itself that the library does not tell.
struct SentencePieceSettings {
  bool joins_by_score = false;   // trainer: BPE
  bool space_prefix = true;      // normalizer: a space before the text
  bool collapse_spaces = true;   // normalizer: runs of spaces become one
  bool maps_characters = false;  // normalizer: a character map that is not empty
};

/// Of a model that `check_sentencepiece_model` accepts. Errors: bad_tokenizer.
SentencePieceSettings read_sentencepiece_settings(std::string_view model);

}  // namespace pare::text
