#include "eval/text_file.h"

#include "io/file.h"
#include "io/hash.h"
#include "io/json.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

namespace pare::eval {
namespace {

std::string text_of_line(std::string_view line, const std::string& where) {
  const io::Json json = io::parse_json(line, where);
  const auto field = json.is_object() ? json.find("text") : json.end();
  if (!json.is_object() || field == json.end() || !field->is_string()) {
    throw Error(ErrorCode::bad_dataset, "a line has no \"text\" of type string")
        .at(where)
        .hint("each line is one object such as {\"text\": \"…\"}; a plain text file works as well");
  }
  return field->get<std::string>();
}

std::string joined_lines(std::string_view content, const std::string& file) {
  std::string joined;
  bool first = true;
  std::int64_t number = 0;
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    const std::string_view line = content.substr(0, end);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (!first) joined += "\n\n";
    joined += text_of_line(line, fmt::format("{}:{}", file, number));
    first = false;
  }
  return joined;
}

}  // namespace

std::string read_eval_text(const std::filesystem::path& path) {
  std::string content = io::read_text(path);
  if (path.extension() != ".jsonl") return content;
  return joined_lines(content, path.string());
}

std::string ids_sha256(std::span<const text::TokenId> ids) {
  std::string bytes;
  bytes.reserve((ids.size() + 1) * 4);
  const auto put = [&bytes](text::TokenId id) {
    const auto bits = static_cast<std::uint32_t>(id);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes += static_cast<char>(static_cast<unsigned char>(bits >> shift & 0xFFU));
    }
  };
  for (const text::TokenId id : ids)
    put(id);
  put(-1);
  return io::sha256_hex(bytes);
}

}  // namespace pare::eval
