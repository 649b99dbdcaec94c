#include "text/unicode/regex_dialect.h"

#include "pare/error.h"
#include "text/unicode/unicode_additions.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pare::text {

namespace {

// Oniguruma's word character; PCRE2 10.42 leaves marks and connectors other than "_" out.
constexpr std::string_view kWordSet = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

[[noreturn]] void refuse(std::string_view pattern, std::string_view what) {
  throw Error(ErrorCode::tokenizer_not_supported,
              fmt::format("regular expression {} in \"{}\"", what, pattern));
}

// The members of \p{name} that PCRE2 does not know yet, as a part of a set.
std::string additions_to(std::string_view name) {
  std::string ranges;
  for (const AddedCharacters& added : characters_since_unicode_14()) {
    if (name != added.category && name != added.category.substr(0, 1)) continue;
    ranges += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<std::uint32_t>(added.first),
                          static_cast<std::uint32_t>(added.last));
  }
  return ranges;
}

std::string digit_set() { return R"(\p{Nd})" + additions_to("Nd"); }

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  std::string run() {
    while (at_ < in_.size())
      step();
    return std::move(out_);
  }

 private:
  void step() {
    const char c = in_[at_];
    switch (c) {
      case '\\':
        atom();
        escape();
        break;
      case '[':
        atom();
        set();
        break;
      case '(':
        open_group();
        break;
      case ')':
        close_group();
        break;
      case '{':
        interval();
        break;
      case '*':
      case '+':
      case '?':
      case '|':
        copy(1);
        break;
      default:
        atom();
        copy_character();
    }
  }

  void atom() { atom_start_ = out_.size(); }

  void copy(std::size_t bytes) {
    out_.append(in_.substr(at_, bytes));
    at_ += bytes;
  }

  void copy_character() {
    std::size_t bytes = 1;
    while (at_ + bytes < in_.size() &&
           (static_cast<unsigned char>(in_[at_ + bytes]) & 0xC0U) == 0x80U)
      ++bytes;
    copy(bytes);
  }

  [[noreturn]] void cut_off(std::string_view what) const {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("regular expression \"{}\" ends inside {}", in_, what));
  }

  void put(std::string_view text, std::size_t bytes_read) {
    out_ += text;
    at_ += bytes_read;
  }

  // Escapes that mean the same inside and outside a set; false when `c` is none of them.
  bool common_escape(char c) {
    switch (c) {
      case 's':
        put(R"(\p{White_Space})", 2);
        return true;
      case 'S':
        put(R"(\P{White_Space})", 2);
        return true;
      case 'v':
        put(R"(\x0b)", 2);
        return true;
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        copy(2);
        return true;
      case 'x':
        hexadecimal();
        return true;
      case 'u':
        four_digits();
        return true;
      default:
        break;
    }
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) return false;
    copy(1);
    copy_character();
    return true;
  }

  char escaped() const {
    if (at_ + 1 >= in_.size()) cut_off("an escape");
    return in_[at_ + 1];
  }

  void escape() {
    const char c = escaped();
    if (common_escape(c)) return;
    if (c == 'p' || c == 'P') return property();
    const std::string word = fmt::format("[{}]", kWordSet);
    const std::string edge = fmt::format("(?<={0})(?!{0})|(?<!{0})(?={0})", word);
    const std::string inside = fmt::format("(?<={0})(?={0})|(?<!{0})(?!{0})", word);
    switch (c) {
      case 'w':
        put(word, 2);
        break;
      case 'W':
        put(fmt::format("[^{}]", kWordSet), 2);
        break;
      case 'b':
        put(fmt::format("(?:{})", edge), 2);
        break;
      case 'B':
        put(fmt::format("(?:{})", inside), 2);
        break;
      case 'd':
        put(fmt::format("[{}]", digit_set()), 2);
        break;
      case 'D':
        put(fmt::format("[^{}]", digit_set()), 2);
        break;
      case 'h':
        put("[0-9a-fA-F]", 2);
        break;
      case 'H':
        put("[^0-9a-fA-F]", 2);
        break;
      case 'A':
      case 'z':
      case 'Z':
        copy(2);
        break;
      default:
        refuse(in_, fmt::format("escape \"\\{}\"", c));
    }
  }

  void hexadecimal() {
    if (at_ + 2 < in_.size() && in_[at_ + 2] == '{') {
      copy_through('}', "\\x{");
    } else {
      copy(2);
    }
  }

  void four_digits() {
    if (at_ + 6 > in_.size()) cut_off("\\u");
    put(fmt::format("\\x{{{}}}", in_.substr(at_ + 2, 4)), 6);
  }

  // The property at the cursor, "\p{L}", and its name, "L".
  std::pair<std::string_view, std::string_view> read_property() {
    if (in_.substr(at_ + 2, 1) != "{") refuse(in_, "property without braces");
    const std::size_t end = in_.find('}', at_);
    if (end == std::string_view::npos) cut_off("\\p{");
    const std::string_view whole = in_.substr(at_, end - at_ + 1);
    at_ = end + 1;
    return {whole, whole.substr(3, whole.size() - 4)};
  }

  void property() {
    const auto [whole, name] = read_property();
    const std::string additions = additions_to(name);
    if (additions.empty()) {
      out_ += whole;
    } else {
      out_ += fmt::format("[{}\\p{{{}}}{}]", whole[1] == 'P' ? "^" : "", name, additions);
    }
  }

  void property_in_set() {
    const auto [whole, name] = read_property();
    out_ += whole;
    if (whole[1] == 'p') out_ += additions_to(name);
  }

  void copy_through(char last, std::string_view what) {
    const std::size_t end = in_.find(last, at_);
    if (end == std::string_view::npos) cut_off(what);
    copy(end - at_ + 1);
  }

  void set() {
    copy(1);
    if (at_ < in_.size() && in_[at_] == '^') copy(1);
    for (bool first = true;; first = false) {
      if (at_ >= in_.size()) cut_off("a set");
      const char c = in_[at_];
      if (c == ']' && !first) break;
      if (c == '[') refuse(in_, "set inside a set");
      if (in_.substr(at_, 2) == "&&") refuse(in_, "set intersection \"&&\"");
      if (c == '\\') {
        set_escape();
      } else {
        copy_character();
      }
    }
    copy(1);
  }

  void set_escape() {
    const char c = escaped();
    if (common_escape(c)) return;
    switch (c) {
      case 'w':
        put(kWordSet, 2);
        break;
      case 'd':
        put(digit_set(), 2);
        break;
      case 'p':
      case 'P':
        property_in_set();
        break;
      case 'h':
        put("0-9a-fA-F", 2);
        break;
      case 'b':
        copy(2);
        break;  // backspace in both
      default:
        refuse(in_, fmt::format("escape \"\\{}\" in a set", c));
    }
  }

  void open_group() {
    groups_.push_back(out_.size());
    copy(1);
    if (at_ >= in_.size() || in_[at_] != '?') return;
    const std::string_view rest = in_.substr(at_ + 1);
    for (const std::string_view head : {":", "=", "!", ">", "<=", "<!"}) {
      if (rest.starts_with(head)) return copy(1 + head.size());
    }
    options(rest);
  }

  // (?i:…), and (?i) at the very start, where Ruby and Perl agree on its reach.
  void options(std::string_view rest) {
    const std::size_t end = rest.find_first_not_of("imx-");
    if (end == std::string_view::npos) cut_off("a group");
    if (end == 0) refuse(in_, "group of an unusual kind");
    const bool whole = rest[end] == ')' && at_ == 1;
    if (rest[end] != ':' && !whole) refuse(in_, "options in the middle");
    out_ += '?';
    for (const char c : rest.substr(0, end))
      out_ += c == 'm' ? 's' : c;
    at_ += 1 + end;
    if (!whole) copy(1);
  }

  void close_group() {
    if (groups_.empty())
      throw Error(ErrorCode::bad_tokenizer, fmt::format("unmatched \")\" in \"{}\"", in_));
    atom_start_ = groups_.back();
    groups_.pop_back();
    copy(1);
  }

  void interval() {
    std::size_t end = at_ + 1;
    while (end < in_.size() &&
           (std::isdigit(static_cast<unsigned char>(in_[end])) != 0 || in_[end] == ','))
      ++end;
    const bool is_interval = end < in_.size() && in_[end] == '}' && end > at_ + 1;
    if (!is_interval) {
      atom();
      put("\\{", 1);
      return;
    }
    const char after = end + 1 < in_.size() ? in_[end + 1] : '\0';
    const bool fixed = in_.substr(at_, end - at_).find(',') == std::string_view::npos;
    if (after == '?' && fixed) refuse(in_, "{n}?");
    if (in_[at_ + 1] == ',') {  // {,n}
      out_ += "{0";
      ++at_;
    }
    copy(end + 1 - at_);
    if (after != '+') return;
    out_.insert(atom_start_, "(?:");
    out_ += ')';
  }

  std::string_view in_;
  std::string out_;
  std::size_t at_ = 0;
  std::size_t atom_start_ = 0;       // in out_: where a following quantifier's operand begins
  std::vector<std::size_t> groups_;  // in out_: open parentheses
};

}  // namespace

std::string to_pcre2_pattern(std::string_view oniguruma) { return Translator(oniguruma).run(); }

}  // namespace pare::text
