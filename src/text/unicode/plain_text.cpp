#include "text/unicode/plain_text.h"

#include "io/file.h"
#include "pare/error.h"
#include "text/unicode/foreign_bytes.h"
#include "text/unicode/unicode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace pare::text {
namespace {

struct Mark {
  std::string_view bytes;
  Utf utf;
};

// UTF-32 stands before UTF-16, whose mark in little endian begins the same.
constexpr std::array kMarks = {
    Mark{std::string_view("\xFF\xFE\0\0", 4), {4, false}},
    Mark{std::string_view("\0\0\xFE\xFF", 4), {4, true}},
    Mark{"\xFF\xFE", {2, false}},
    Mark{"\xFE\xFF", {2, true}},
};
constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

[[noreturn]] void refuse(const std::string& where, const ForeignBytes& found) {
  throw Error(ErrorCode::bad_dataset, found.what).at(where).hint(found.hint);
}

/// The decoded text of bytes that begin with a mark of UTF-16 or UTF-32; nothing for others.
std::optional<std::string> decode_marked(std::string_view bytes, const std::string& where) {
  std::optional<Utf> first;
  for (const Mark& mark : kMarks) {
    if (!bytes.starts_with(mark.bytes)) continue;
    if (auto text = decode(bytes.substr(mark.bytes.size()), mark.utf)) return text;
    if (!first.has_value()) first = mark.utf;
  }
  if (!first.has_value()) return std::nullopt;
  refuse(where, {fmt::format("it begins with the mark of {}, but is damaged", name_of(*first)),
                 "save it again as UTF-8"});
}

/// Where valid UTF-8 ends. A character of a text with others like it may be cut off at the end.
std::size_t valid_bytes(std::string_view text) {
  bool has_others = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (!c.valid) return has_others && is_cut_off(text.substr(at)) ? text.size() : at;
    has_others = has_others || c.bytes > 1;
    at += c.bytes;
  }
  return text.size();
}

}  // namespace

std::string plain_text(std::string bytes, const std::string& where, Utf8Mark mark) {
  if (const auto found = known_file(bytes)) refuse(where, *found);
  if (auto text = decode_marked(bytes, where)) bytes = std::move(*text);
  if (mark == Utf8Mark::leave_out && bytes.starts_with(kUtf8Mark)) bytes.erase(0, kUtf8Mark.size());
  const std::size_t nul = bytes.find('\0');
  const std::size_t valid = valid_bytes(bytes);
  if (nul == std::string::npos && valid == bytes.size()) return bytes;
  refuse(where, foreign_bytes(bytes, std::min(nul, valid)));
}

std::string read_plain_text(const std::filesystem::path& file, Utf8Mark mark) {
  return plain_text(io::read_text(file), file.string(), mark);
}

}  // namespace pare::text
