#include "io/json_events.h"

#include "io/json_constants.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace pare::io {
namespace {

constexpr std::size_t kMaxReasonBytes = 200;

/// Walks the text and lets others see how far it came: the parser keeps only copies of it.
class TrackedText {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  explicit TrackedText(const char** position) : position_(position) {}
  reference operator*() const { return **position_; }
  TrackedText& operator++() {
    ++*position_;
    return *this;
  }
  TrackedText operator++(int) {
    const TrackedText before = *this;
    ++*position_;
    return before;
  }
  friend bool operator==(const TrackedText& a, const TrackedText& b) {
    return *a.position_ == *b.position_;
  }

 private:
  const char** position_;
};

/// "line:column", both from 1; the column counts bytes.
std::string line_and_column(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 == 0
  return fmt::format("{}:{}", lines + 1, std::max<std::size_t>(before.size() - line_start, 1));
}

/// The parser's own words without its identifiers and position, which are said in our form.
std::string reason_of(const nlohmann::detail::exception& error) {
  std::string text = error.what();
  const std::size_t colon = text.find(": ");
  if (colon != std::string::npos) {
    text.erase(0, colon + 2);
  } else if (const std::size_t bracket = text.find("] "); bracket != std::string::npos) {
    text.erase(0, bracket + 2);
  }
  if (text.size() <= kMaxReasonBytes) return text;
  std::size_t end = kMaxReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;
  return text.substr(0, end) + "…";
}

}  // namespace

/// Passes events on; strings that stand for one of Python's constants become numbers again.
class ConstantEvents final : public nlohmann::json_sax<Json> {
 public:
  ConstantEvents(std::string_view original, JsonEvents& out) : original_(original), out_(out) {}

  bool null() override { return out_.null(); }
  bool boolean(bool value) override { return out_.boolean(value); }
  bool number_integer(number_integer_t value) override { return out_.number_integer(value); }
  bool number_unsigned(number_unsigned_t value) override { return out_.number_unsigned(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    return out_.number_float(value, text);
  }
  bool string(string_t& value) override {
    const std::string_view word = word_read();
    if (word.empty()) return out_.string(value);
    return out_.number_float(constant_value(word), std::string(word));
  }
  bool binary(binary_t& value) override { return out_.binary(value); }
  bool start_object(std::size_t size) override { return out_.start_object(size); }
  bool end_object() override { return out_.end_object(); }
  bool start_array(std::size_t size) override { return out_.start_array(size); }
  bool end_array() override { return out_.end_array(); }
  bool key(string_t& name) override {
    if (!word_read().empty()) out_.fail("a number where a key should be");
    return out_.key(name);
  }
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::detail::exception& error) override {
    return out_.parse_error(position, last_token, error);
  }

 private:
  std::string_view word_read() const noexcept {
    return constant_before(original_, static_cast<std::size_t>(out_.reached_ - out_.text_.data()));
  }

  std::string_view original_;
  JsonEvents& out_;
};

bool JsonEvents::parse_error(std::size_t /*position*/, const std::string& /*last_token*/,
                             const nlohmann::detail::exception& error) {
  fail(reason_of(error));
}

void JsonEvents::fail(const std::string& detail) const {
  const auto offset = static_cast<std::size_t>(reached_ - text_.data());
  throw Error(ErrorCode::bad_json, detail).at(where_ + ":" + line_and_column(text_, offset));
}

void parse_json_events(std::string_view text, const std::string& where, std::size_t max_bytes,
                       JsonEvents& events) {
  if (text.size() > max_bytes) {
    throw Error(ErrorCode::bad_json,
                fmt::format("{} bytes, at most {} are read", text.size(), max_bytes))
        .at(where);
  }
  events.text_ = text;
  events.where_ = where;
  events.reached_ = text.data();
  // The parser takes a NUL for the end of the text and would accept anything after it.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    events.reached_ = text.data() + nul + 1;
    events.fail("the text holds a NUL byte");
  }
  const std::optional<std::string> quoted = with_constants_quoted(text);
  if (!quoted) {
    const char* end = text.data() + text.size();
    Json::sax_parse(TrackedText(&events.reached_), TrackedText(&end), &events);
    return;
  }
  events.text_ = *quoted;
  events.reached_ = quoted->data();
  const char* end = quoted->data() + quoted->size();
  ConstantEvents constants(text, events);
  Json::sax_parse(TrackedText(&events.reached_), TrackedText(&end), &constants);
}

}  // namespace pare::io
