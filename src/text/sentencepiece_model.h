// A look at the bytes of a SentencePiece model before the library gets them.
#pragma once

#include <string_view>

namespace pare::text {

/// Throws bad_tokenizer unless `model` is a complete protobuf ModelProto whose character maps stay
/// inside themselves. The library follows the double-array trie of a map without bounds, and takes
/// a file that ends between two fields for a whole one.
/// Source: sentencepiece_model.proto (Apache-2.0); Yata, Darts-clone, for the units of the trie.
void check_sentencepiece_model(std::string_view model);

}  // namespace pare::text
