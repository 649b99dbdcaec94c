// Merges told as scores: what SentencePiece joins by, from a tokenizer.json that was made of one.
#pragma once

#include "text/token_table.h"

namespace pare::text {

/// Turns a table of merges into one of scores, minus the rank of a token's first merge.
/// Scores let any two neighbours join whose union is a token, so the merges of a token must stand
/// together and must be all its splits into tokens.
/// Errors: tokenizer_not_supported where they are not, and scores would give other ids.
void merges_to_scores(TokenTable& table);

}  // namespace pare::text
