#include "text/bpe/bpe_tokenizer.h"

#include "text/unicode/unicode.h"

#include <fmt/format.h>

#include <utility>

namespace pare::text {

void add_to_vocabulary(const std::vector<AddedToken>& tokens, Vocabulary& vocabulary) {
  for (const AddedToken& token : tokens) {
    if (!token.content.empty()) vocabulary.add(token.content, token.id);
  }
}

BpeTokenizer::BpeTokenizer(BpeTokenizerParts parts) : parts_(std::move(parts)) {
  // Special tokens first: of two tokens with one spelling the first added is found.
  for (const bool special : {true, false}) {
    for (const AddedToken& token : parts_.added_tokens) {
      if (token.special != special) continue;
      if (special) special_ids_.insert(token.id);
      if (token.normalized) {
        normalized_tokens_.add(token, parts_.normalizer.apply(to_valid_utf8(token.content)));
      } else {
        raw_tokens_.add(token, token.content);
      }
    }
  }
}

std::vector<TokenId> BpeTokenizer::encode(std::string_view text) const {
  std::vector<TokenId> ids = parts_.surroundings.before;
  const std::vector<TokenId> plain = encode_plain(text);
  ids.insert(ids.end(), plain.begin(), plain.end());
  ids.insert(ids.end(), parts_.surroundings.after.begin(), parts_.surroundings.after.end());
  return ids;
}

std::vector<TokenId> BpeTokenizer::encode_plain(std::string_view text) const {
  const std::string valid = to_valid_utf8(text);
  std::vector<TokenId> ids;
  for (const AddedTokenFinder::Part& part : raw_tokens_.split(valid)) {
    if (part.id) {
      ids.push_back(*part.id);
    } else {
      const std::string_view stretch(valid);
      encode_stretch(stretch.substr(part.span.begin, part.span.end - part.span.begin),
                     part.span.begin == 0, ids);
    }
  }
  return ids;
}

void BpeTokenizer::encode_stretch(std::string_view stretch, bool at_start,
                                  std::vector<TokenId>& out) const {
  const std::string normalized = parts_.normalizer.apply(std::string(stretch));
  for (const AddedTokenFinder::Part& part : normalized_tokens_.split(normalized)) {
    if (part.id) {
      out.push_back(*part.id);
      continue;
    }
    std::string text = normalized.substr(part.span.begin, part.span.end - part.span.begin);
    const bool first = at_start && part.span.begin == 0;
    for (const Word& word : parts_.pre_tokenizer.apply(std::move(text), first)) {
      parts_.bpe.encode(word.text, out);
    }
  }
}

std::string BpeTokenizer::decode(std::span<const TokenId> ids) const {
  std::vector<std::string> pieces;
  for (const TokenId id : ids) {
    if (special_ids_.contains(id)) continue;
    const std::string* piece = parts_.bpe.vocabulary().piece(id);
    if (piece != nullptr) pieces.push_back(*piece);
  }
  return parts_.decoder.apply(std::move(pieces));
}

std::string BpeTokenizer::piece(TokenId id) const {
  const std::string* piece = parts_.bpe.vocabulary().piece(id);
  if (piece == nullptr) {
    throw Error(ErrorCode::token_out_of_range,
                fmt::format("{} is no id of this vocabulary of {}", id, vocab_size()));
  }
  return *piece;
}

bool BpeTokenizer::adds_bos() const noexcept {
  return bos_id() >= 0 && !parts_.surroundings.before.empty() &&
         parts_.surroundings.before.front() == bos_id();
}

TokenTable BpeTokenizer::table(std::vector<std::string> merges) const {
  TokenTable table;
  table.merges = std::move(merges);
  for (TokenId id = 0; id < vocab_size(); ++id) {
    const std::string* piece = parts_.bpe.vocabulary().piece(id);
    put_token(table, id, piece == nullptr ? "" : *piece,
              piece == nullptr ? TokenType::unused : TokenType::normal);
  }
  for (const AddedToken& token : parts_.added_tokens) {
    if (token.content.empty()) continue;
    put_token(table, token.id, token.content,
              token.special ? TokenType::control : TokenType::user_defined);
  }
  table.bos = bos_id();
  table.eos = eos_id();
  table.add_bos = adds_bos();
  const std::vector<TokenId>& after = parts_.surroundings.after;
  table.add_eos = eos_id() >= 0 && !after.empty() && after.back() == eos_id();
  return table;
}

}  // namespace pare::text
