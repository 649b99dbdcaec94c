// The text that an evaluation measures, and the identity of its tokens.
#pragma once

#include "text/tokenizer.h"

#include <filesystem>
#include <span>
#include <string>

namespace pare::eval {

/// The whole file as one text in UTF-8. A `.jsonl` or `.json` file of {"text": …} records gives the
/// texts joined by an empty line, as the rows of wikitext are joined by the gptq protocol.
/// Errors: file_not_found, file_io, bad_dataset (with the line, or what the file seems to be).
std::string read_eval_text(const std::filesystem::path& path);

/// SHA-256 of the ids as little-endian i32 with -1 behind the last: tells whether two runs measured
/// the same tokens.
std::string ids_sha256(std::span<const text::TokenId> ids);

}  // namespace pare::eval
