// Characters that Unicode 15.0, 15.1 and 16.0 added, by general category.
#pragma once

#include <span>
#include <string_view>

namespace pare::text {

struct AddedCharacters {
  char32_t first = 0;
  char32_t last = 0;
  std::string_view category;  // two letters, "Lu"
};

/// PCRE2 10.42 knows Unicode 14, the tokenizers library 16: without these a letter of a newer
/// script would be cut off from its word. Newer releases of PCRE2 have them too, which does no
/// harm. Source: UnicodeData.txt and DerivedAge.txt of Unicode 16.0
std::span<const AddedCharacters> characters_since_unicode_14() noexcept;

}  // namespace pare::text
