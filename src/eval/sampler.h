// The choice of the next token from a row of logits.
#pragma once

#include "core/rng.h"
#include "text/tokenizer.h"

#include <span>

namespace pare::eval {

struct SamplerOptions {
  double temperature = 0;  // 0 = the most probable token
  double top_p = 1;        // keep the smallest set of tokens with at least this probability
};

/// Math: p = softmax(logits / temperature), sorted by p, then by id; the shortest head of that list
/// whose sum reaches top_p is renormalized and drawn from with one number of `rng`.
/// Greedy takes the first maximum and no random number.
/// Source: nucleus sampling, Holtzman et al., arXiv:1904.09751.
/// Errors: not_finite when the logits hold NaN or infinity.
text::TokenId choose_token(std::span<const float> logits, const SamplerOptions& options, Rng& rng);

}  // namespace pare::eval
