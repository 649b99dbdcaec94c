#include "text/json/added_tokens.h"

#include "text/json/vocabulary.h"
#include "text/unicode/unicode.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::text {

namespace {

std::uint64_t edge_key(std::uint64_t node, char byte) noexcept {
  return node * 256 + static_cast<unsigned char>(byte);
}

bool inside_a_word(std::string_view text, const Span& span) {
  const bool left =
      span.begin > 0 && is_word_character(last_code_point(text.substr(0, span.begin)));
  return left || (span.end < text.size() && is_word_character(code_point_at(text, span.end).value));
}

std::size_t without_trailing_space(std::string_view text, std::size_t end) {
  while (end > 0) {
    const char32_t c = last_code_point(text.substr(0, end));
    if (!is_white_space(c)) break;
    std::string encoded;
    append_utf8(encoded, c);
    end -= encoded.size();
  }
  return end;
}

std::size_t past_white_space(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const CodePoint c = code_point_at(text, at);
    if (!is_white_space(c.value)) break;
    at += c.bytes;
  }
  return at;
}

}  // namespace

AddedToken read_added_token(const JsonNode& node, std::int64_t id) {
  AddedToken token;
  token.content = node.at("content").text();
  if (id < 0 || id >= Vocabulary::kMaxIds) {
    throw node.error(fmt::format("\"{}\" has id {}, allowed are 0 to {}", token.content, id,
                                 Vocabulary::kMaxIds - 1));
  }
  token.id = static_cast<TokenId>(id);
  token.special = node.flag_or("special", false);
  token.single_word = node.flag_or("single_word", false);
  token.lstrip = node.flag_or("lstrip", false);
  token.rstrip = node.flag_or("rstrip", false);
  token.normalized = node.flag_or("normalized", !token.special);
  return token;
}

void AddedTokenFinder::add(const AddedToken& token, std::string_view spelling) {
  if (spelling.empty()) return;
  if (spelling.size() > kMaxBytes) {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("added token {} has {} bytes, at most {} are read", token.id,
                            spelling.size(), kMaxBytes));
  }
  std::uint32_t node = 0;
  for (const char byte : spelling) {
    const auto [edge, is_new] = edges_.try_emplace(edge_key(node, byte), 0U);
    if (is_new) {
      edge->second = static_cast<std::uint32_t>(token_at_node_.size());
      token_at_node_.emplace_back();
    }
    node = edge->second;
  }
  first_bytes_.set(static_cast<unsigned char>(spelling.front()));
  if (token_at_node_[node]) return;  // two tokens of one spelling: the first is found
  token_at_node_[node] = tokens_.size();
  tokens_.push_back(token);
}

std::optional<AddedTokenFinder::Match> AddedTokenFinder::longest_at(std::string_view text,
                                                                    std::size_t at) const {
  std::optional<Match> longest;
  std::uint32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto edge = edges_.find(edge_key(node, text[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (token_at_node_[node]) longest = Match{*token_at_node_[node], i + 1};
  }
  return longest;
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::split(std::string_view valid_text) const {
  std::vector<Part> parts;
  std::size_t done = 0;
  for (std::size_t at = 0; at < valid_text.size() && !empty();) {
    if (!first_bytes_[static_cast<unsigned char>(valid_text[at])]) {
      ++at;
      continue;
    }
    const std::optional<Match> match = longest_at(valid_text, at);
    if (!match) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[match->token];
    Span span{at, match->end};
    at = match->end;  // also when the match is not taken: matches never overlap
    if (token.single_word && inside_a_word(valid_text, span)) continue;
    if (token.lstrip) span.begin = std::max(without_trailing_space(valid_text, span.begin), done);
    if (token.rstrip) span.end = past_white_space(valid_text, span.end);
    if (done < span.begin) parts.push_back({{done, span.begin}, std::nullopt});
    parts.push_back({span, token.id});
    done = span.end;
  }
  if (done != valid_text.size()) parts.push_back({{done, valid_text.size()}, std::nullopt});
  return parts;
}

}  // namespace pare::text
