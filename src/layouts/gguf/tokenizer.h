// The key-values of a GGUF file that hold the tokenizer and the chat template.
// Source: docs/formats/gguf.md
#pragma once

#include "containers/gguf/writer.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pare::layout {

/// Adds the tokenizer of a model folder, with a token for each of `rows` rows of the embedding.
/// Without a tokenizer the file says so, and engines take token ids alone.
/// Errors: tokenizer_not_supported, bad_tokenizer (more tokens than rows), those of reading it.
void add_tokenizer_keys(const std::filesystem::path& folder, std::int64_t rows,
                        containers::GgufMetadata& metadata);

/// What llama.cpp's tokenizer does otherwise than the model's own; one line each.
std::vector<std::string> tokenizer_notes(const std::filesystem::path& folder);

}  // namespace pare::layout
