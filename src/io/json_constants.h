// The three numbers that Python writes into JSON although JSON has none of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pare::io {

/// `text` with every NaN, Infinity and -Infinity that stands outside of strings replaced by a
/// string of the same length, so that a parser without these words reads it and places stay as they
/// are; nullopt when there is none.
std::optional<std::string> with_constants_quoted(std::string_view text);

/// The word that ends in front of `end` in the text before it was changed; "" when none does.
std::string_view constant_before(std::string_view text, std::size_t end) noexcept;

/// What the word stands for.
double constant_value(std::string_view word) noexcept;

}  // namespace pare::io
