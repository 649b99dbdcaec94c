// Text of tokens as they come, handed out only as far as later tokens cannot change it.
#pragma once

#include "text/tokenizer.h"

#include <cstddef>
#include <string>
#include <vector>

namespace pare::eval {

/// A token may hold part of a character, and a tokenizer may treat the first token of a text in its
/// own way. So a few tokens before the new ones are decoded with them, and text that ends in the
/// middle of a character waits for the rest.
class TextStream {
 public:
  /// `behind`: the tokens that stand before the first new one; their text is not handed out.
  TextStream(const text::Tokenizer& tokenizer, std::vector<text::TokenId> behind);

  /// Text that is whole now; often one word, sometimes "".
  std::string add(text::TokenId id);
  /// What is left, an incomplete character as U+FFFD.
  std::string finish();

 private:
  std::string pending() const;
  std::string hand_out(const std::string& text);

  const text::Tokenizer& tokenizer_;
  std::vector<text::TokenId> ids_;
  std::size_t shown_from_ = 0;  // ids_ from here on are decoded …
  std::size_t shown_to_ = 0;    // … and those up to here have been handed out
};

}  // namespace pare::eval
