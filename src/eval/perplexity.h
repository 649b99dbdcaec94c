// Perplexity by named protocols, and what two models say of the same text.
#pragma once

#include "model/transformer.h"
#include "pare/context.h"
#include "pare/eval.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::eval {

/// How a text becomes windows and which targets count. Listed in a table; no second list.
///   gptq:     the whole text tokenized once with its default special tokens, non-overlapping
///             windows, tail dropped, targets 1 … n-1 of each window.
///   llamacpp: the same windows, the first token of each replaced by BOS (when there is one); the
///             logits of positions n/2 … n-2 count, that is targets n/2 + 1 … n-1, as llama.cpp's
///             own perplexity tool does it.
/// Source: gptq: Frantar et al., arXiv:2210.17323, and its evaluation code.
struct Protocol {
  std::string_view id;
  std::string_view summary;
  std::int64_t default_context;
  bool bos_in_every_window;
  bool second_half_only;
};

std::span<const Protocol> protocols() noexcept;
/// Errors: unknown_entry with a near match.
const Protocol& find_protocol(std::string_view id);

/// Windows of exactly `context` tokens; `bos` -1 leaves their first token, `max_windows` 0 takes
/// all. Errors: bad_dataset when the text is shorter than one window; bad_option_value when the
/// context leaves nothing to score.
struct Windows {
  std::vector<std::vector<text::TokenId>> ids;
  std::int64_t context = 0;
  std::int64_t first_target = 1;  // targets first_target … context-1 of each window are scored
};
Windows make_windows(std::span<const text::TokenId> tokens, const Protocol& protocol,
                     std::int64_t context, text::TokenId bos, std::int64_t max_windows);

/// Memory is bounded: windows go through the blocks in groups whose hidden states and work fit
/// `batch_bytes`; besides them one block, the head, and 128 rows of logits are held.
/// Sums are f64 in the order of the windows: the same bits for any thread count and group size.
/// Errors: token_out_of_range; not_finite when logits hold NaN or infinity.
Perplexity perplexity(const Context& ctx, const model::Model& model, const Windows& windows,
                      std::size_t batch_bytes = std::size_t{512} << 20);

/// Both models on the same windows; a model compared with itself gives exactly 0 and 1.
/// Errors: those of perplexity; bad_usage when the vocabularies differ in size.
Comparison compare(const Context& ctx, const model::Model& base, const model::Model& other,
                   const Windows& windows, std::size_t batch_bytes = std::size_t{512} << 20);

/// Logits of whole sequences, one row per token, handed over in order, up to 128 rows at a time;
/// a view is valid until `take` returns. Errors: token_out_of_range.
void logits_of(const Context& ctx, const model::Model& model,
               std::span<const std::vector<text::TokenId>> sequences,
               const std::function<void(MatrixView<const float>)>& take);

}  // namespace pare::eval
