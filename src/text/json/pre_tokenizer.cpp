#include "text/json/pre_tokenizer.h"

#include "text/json/split.h"
#include "text/unicode/byte_alphabet.h"
#include "text/unicode/regex.h"
#include "text/unicode/unicode.h"

#include <utility>

namespace pare::text {

namespace {

template <typename Finder>
std::vector<Word> cut(std::vector<Word> words, const Finder& find, Delimiter delimiter,
                      bool invert) {
  std::vector<Word> out;
  for (const Word& word : words) {
    for (const Span& span : split(word.text.size(), find(word.text), delimiter, invert)) {
      out.push_back(
          {word.text.substr(span.begin, span.end - span.begin), word.at_start && span.begin == 0});
    }
  }
  return out;
}

std::vector<Word> spell_bytes(std::vector<Word> words) {
  for (Word& word : words)
    word.text = to_byte_letters(word.text);
  return words;
}

std::vector<Span> numeric_characters(std::string_view text) {
  std::vector<Span> found;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (is_numeric(c.value)) found.push_back({at, at + c.bytes});
    at += c.bytes;
  }
  return found;
}

enum class PrependScheme { always, first, never };

PrependScheme scheme_of(const JsonNode& node) {
  const std::string name = node.text_or("prepend_scheme", "always");
  const bool no_prefix = !node.flag_or("add_prefix_space", true);
  if (name == "never") return PrependScheme::never;
  if (name == "always" && no_prefix && !node.find("prepend_scheme")) return PrependScheme::never;
  if (no_prefix) throw node.error("add_prefix_space contradicts prepend_scheme");
  if (name == "always") return PrependScheme::always;
  if (name == "first") return PrependScheme::first;
  throw node.unsupported("prepend_scheme \"" + name + "\"");
}

std::string with_metaspace(const Word& word, const Pattern& space, const std::string& mark,
                           PrependScheme scheme) {
  std::string text = space.replace_all(word.text, mark);
  const bool wanted =
      scheme == PrependScheme::always || (scheme == PrependScheme::first && word.at_start);
  return wanted && !text.starts_with(mark) ? mark + text : text;
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonNode& node) { add(node); }

PreTokenizer PreTokenizer::split_then_bytes(std::string_view pattern) {
  PreTokenizer result;
  result.steps_.emplace_back([regex = Regex(pattern)](std::vector<Word> words) {
    return cut(
        std::move(words), [&](std::string_view text) { return regex.find_all(text); },
        Delimiter::isolated, false);
  });
  result.steps_.emplace_back(spell_bytes);
  return result;
}

void PreTokenizer::add(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") {
    for (const JsonNode& part : node.at("pretokenizers").items())
      add(part);
  } else if (type == "ByteLevel") {
    add_byte_level(node);
  } else if (type == "Metaspace") {
    add_metaspace(node);
  } else if (type == "Split") {
    steps_.emplace_back([pattern = Pattern(node.at("pattern")),
                         delimiter = delimiter_from(node.at("behavior")),
                         invert = node.flag_or("invert", false)](std::vector<Word> words) {
      return cut(
          std::move(words), [&](std::string_view text) { return pattern.find_all(text); },
          delimiter, invert);
    });
  } else if (type == "Digits") {
    const Delimiter delimiter =
        node.flag_or("individual_digits", false) ? Delimiter::isolated : Delimiter::contiguous;
    steps_.emplace_back([=](std::vector<Word> words) {
      return cut(std::move(words), numeric_characters, delimiter, false);
    });
  } else {
    throw node.unsupported("pre-tokenizer type \"" + type + "\"");
  }
}

void PreTokenizer::add_byte_level(const JsonNode& node) {
  if (node.flag_or("add_prefix_space", true)) {
    steps_.emplace_back([](std::vector<Word> words) {
      for (Word& word : words) {
        if (!word.text.starts_with(' ')) word.text.insert(0, 1, ' ');
      }
      return words;
    });
  }
  if (node.flag_or("use_regex", true)) {
    PreTokenizer both = split_then_bytes(kGpt2Pattern);
    std::move(both.steps_.begin(), both.steps_.end(), std::back_inserter(steps_));
  } else {
    steps_.emplace_back(spell_bytes);
  }
}

void PreTokenizer::add_metaspace(const JsonNode& node) {
  const std::string mark = node.at("replacement").text();
  if (mark.empty() || code_point_at(mark, 0).bytes != mark.size()) {
    throw node.error("\"replacement\" must be one character");
  }
  const PrependScheme scheme = scheme_of(node);
  steps_.emplace_back([=, space = Pattern(std::string(" "))](std::vector<Word> words) {
    for (Word& word : words)
      word.text = with_metaspace(word, space, mark, scheme);
    return words;
  });
  if (!node.flag_or("split", true)) return;
  steps_.emplace_back([pattern = Pattern(mark)](std::vector<Word> words) {
    return cut(
        std::move(words), [&](std::string_view text) { return pattern.find_all(text); },
        Delimiter::merged_with_next, false);
  });
}

std::vector<Word> PreTokenizer::apply(std::string valid_text, bool at_start) const {
  std::vector<Word> words;
  if (valid_text.empty()) return words;
  words.push_back({std::move(valid_text), at_start});
  for (const Step& step : steps_)
    words = step(std::move(words));
  return words;
}

}  // namespace pare::text
