// Cutting text at the matches of a pattern, with the treatments of the delimiter that
// tokenizer.json knows.
#pragma once

#include "text/json_node.h"
#include "text/unicode/regex.h"

#include <string_view>
#include <vector>

namespace pare::text {

enum class Delimiter { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Reads a `behavior` member ("Isolated", …).
Delimiter delimiter_from(const JsonNode& node);

/// The pieces of a text of `size` bytes, in order, empty ones left out.
/// With `invert` the text between the matches is the delimiter.
std::vector<Span> split(std::size_t size, const std::vector<Span>& matches, Delimiter delimiter,
                        bool invert = false);

}  // namespace pare::text
