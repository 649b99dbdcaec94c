// How an error reads, and near matches of misspelt words.
#include "pare/error.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace pare {

ErrorKind kind_of(ErrorCode code) noexcept {
  switch (code) {
#define PARE_ERROR(name, number, kind, title) \
  case ErrorCode::name:                       \
    return ErrorKind::kind;
#include "pare/errors.def"
#undef PARE_ERROR
  }
  return ErrorKind::internal;
}

std::string_view title_of(ErrorCode code) noexcept {
  switch (code) {
#define PARE_ERROR(name, number, kind, title) \
  case ErrorCode::name:                       \
    return title;
#include "pare/errors.def"
#undef PARE_ERROR
  }
  return "";
}

int exit_code_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::usage: return 2;
    case ErrorKind::not_found:
    case ErrorKind::io:
    case ErrorKind::bad_format: return 3;
    case ErrorKind::unsupported: return 4;
    case ErrorKind::numeric: return 5;
    case ErrorKind::quality: return 6;
    case ErrorKind::cancelled: return 130;
    case ErrorKind::internal: break;
  }
  return 70;
}

namespace {

/// Length of the well-formed UTF-8 sequence at the front of `text`; 0 when there is none.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  std::size_t length = 1;
  if (lead >= 0xC2) length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if ((lead >= 0x80 && lead < 0xC2) || length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
  return overlong || outside ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    if (length == 0 || (byte < 0x20 && byte != '\n') || byte == 0x7F) {
      out += fmt::format("\\x{:02X}", byte);
      text.remove_prefix(1);
      continue;
    }
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out;
}

Error::Error(ErrorCode code, std::string detail) : code_(code), detail_(std::move(detail)) {
  rebuild();
}

Error& Error::at(std::string where) & {
  where_.push_back(std::move(where));
  rebuild();
  return *this;
}

Error&& Error::at(std::string where) && {
  return std::move(this->at(std::move(where)));
}

Error&& Error::hint(std::string what_to_do) && {
  hint_ = std::move(what_to_do);
  rebuild();
  return std::move(*this);
}

void Error::rebuild() {
  text_ = fmt::format("error[E{:04}] {}: {}", static_cast<int>(code_), title_of(code_), detail_);
  for (const std::string& place : where_) text_ += "\n  --> " + place;
  if (!hint_.empty()) text_ += "\n  " + hint_;
  text_ = printable(text_);
}

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace

std::string closest_match(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = word.size() / 3 + 2;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

}  // namespace pare
