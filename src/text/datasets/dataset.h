// Calibration and evaluation text: files of prompts, templates, and the token sequences they give.
#pragma once

#include "pare/context.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pare::text {

struct DatasetOptions {
  std::filesystem::path file;              // .jsonl .json .csv .txt
  std::string tmpl;                        // see template.h; "" = default fields
  std::optional<std::int64_t> count;       // use the first N samples
  std::optional<std::int64_t> max_tokens;  // longer sequences are cut into pieces of this many
  std::optional<std::int64_t> pack;        // concatenate all and cut into windows of N tokens;
                                           // the last one may be shorter, nothing is dropped
};

/// Token sequences ready to run, and everything needed to say where they came from.
struct Dataset {
  std::vector<std::vector<TokenId>> sequences;
  std::int64_t lines_read = 0;
  std::int64_t lines_skipped = 0;
  std::vector<std::string> skip_reasons;  // "3 lines: empty text (first at a.txt:7)"
  bool has_bos = false;                   // the first sequence begins with BOS
  std::string first_tokens_text;          // the first 64 tokens, decoded
  std::string ids_sha256;  // over all ids as little-endian i32, -1 after each sequence

  std::int64_t tokens() const noexcept;
  std::int64_t min_tokens() const noexcept;
  std::int64_t median_tokens() const noexcept;
  std::int64_t max_tokens() const noexcept;
};

/// Gives the tokenizer when it is needed first, null when the model has none; may throw.
using OpenTokenizer = std::function<const Tokenizer*()>;

/// Reads the file and tokenizes it. Each prompt is its own sequence unless `pack` is set.
/// Lines of the form {"input_ids": […]} need no tokenizer (one that cannot be opened is then no
/// error); with a template they are records like any other. Blank lines, empty texts and lines of
/// .jsonl that are no JSON are skipped and counted. jsonl without template: `inputs_pretokenized`,
/// else `text`, else `question`/`passage` joined as BoolQ calibration does: "{title} --
/// {passage}\nQuestion:{question}?\nAnswer:" (title left out when absent). csv: header row, fields
/// by name; txt: one prompt per non-empty line (whole file is one text when `pack` is set); json:
/// an array of objects or strings. Conversations are refused. Errors: file_not_found, bad_dataset
/// (with the line), calibration_empty, template_field_missing (with the fields there are),
/// tokenizer_missing, token_out_of_range (ids >= vocab_size when > 0).
Dataset load_dataset(const DatasetOptions& options, const OpenTokenizer& tokenizer,
                     std::int64_t vocab_size);

}  // namespace pare::text
