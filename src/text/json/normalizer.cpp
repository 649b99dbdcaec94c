#include "text/json/normalizer.h"

#include "text/unicode/regex.h"
#include "text/unicode/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include <climits>
#include <memory>
#include <utility>

namespace pare::text {

namespace {

using FormGetter = const icu::Normalizer2* (*)(UErrorCode&);

// Deviation: characters newer than Unicode 9 are left alone, as the tokenizers library does, whose
// tables end there; otherwise their neighbours would be reordered and the ids be others.
const icu::UnicodeSet& known_characters() {
  static const icu::UnicodeSet set = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet made(u"[:age=9.0:]", status);
    if (U_FAILURE(status)) throw Error(ErrorCode::internal, u_errorName(status));
    made.freeze();
    return made;
  }();
  return set;
}

std::string to_normal_form(FormGetter form, std::string text) {
  if (is_ascii(text)) return text;
  if (text.size() > std::size_t{INT_MAX}) {
    throw Error(ErrorCode::bad_dataset, "a single text of more than 2 GiB")
        .hint("cut it into lines");
  }
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* current = form(status);
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  if (U_SUCCESS(status)) {
    const icu::FilteredNormalizer2 normalizer(*current, known_characters());
    normalizer.normalizeUTF8(0, {text.data(), static_cast<std::int32_t>(text.size())}, sink,
                             nullptr, status);
  }
  if (U_FAILURE(status)) {
    throw Error(ErrorCode::internal, std::string("Unicode normalization: ") + u_errorName(status));
  }
  return out;
}

template <FormGetter Form>
std::string normal_form(std::string text) {
  return to_normal_form(Form, std::move(text));
}

std::string stripped(std::string text, bool left, bool right) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (left && begin < end) {
    const CodePoint c = code_point_at(text, begin);
    if (!is_white_space(c.value)) break;
    begin += c.bytes;
  }
  while (right && end > begin) {
    const char32_t last = last_code_point(std::string_view(text).substr(begin, end - begin));
    if (!is_white_space(last)) break;
    std::string encoded;
    append_utf8(encoded, last);
    end -= encoded.size();
  }
  return text.substr(begin, end - begin);
}

}  // namespace

Normalizer::Normalizer(const JsonNode& node) { add(node); }

Normalizer Normalizer::nfc() {
  Normalizer normalizer;
  normalizer.steps_.emplace_back(normal_form<icu::Normalizer2::getNFCInstance>);
  return normalizer;
}

void Normalizer::add(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") {
    for (const JsonNode& part : node.at("normalizers").items())
      add(part);
  } else if (type == "NFC") {
    steps_.emplace_back(normal_form<icu::Normalizer2::getNFCInstance>);
  } else if (type == "NFD") {
    steps_.emplace_back(normal_form<icu::Normalizer2::getNFDInstance>);
  } else if (type == "NFKC") {
    steps_.emplace_back(normal_form<icu::Normalizer2::getNFKCInstance>);
  } else if (type == "NFKD") {
    steps_.emplace_back(normal_form<icu::Normalizer2::getNFKDInstance>);
  } else if (type == "Lowercase") {
    steps_.emplace_back([](const std::string& text) { return to_lower(text); });
  } else if (type == "Prepend") {
    steps_.emplace_back([prefix = node.at("prepend").text()](std::string text) {
      return text.empty() ? text : prefix + text;
    });
  } else if (type == "Replace") {
    steps_.emplace_back([pattern = Pattern(node.at("pattern")),
                         content = node.at("content").text()](const std::string& text) {
      return pattern.replace_all(text, content);
    });
  } else if (type == "Strip") {
    const bool left = node.at("strip_left").flag();
    const bool right = node.at("strip_right").flag();
    steps_.emplace_back([=](std::string text) { return stripped(std::move(text), left, right); });
  } else {
    throw node.unsupported("normalizer type \"" + type + "\"");
  }
}

std::string Normalizer::apply(std::string valid_text) const {
  for (const Step& step : steps_)
    valid_text = step(std::move(valid_text));
  return valid_text;
}

}  // namespace pare::text
