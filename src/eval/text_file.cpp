#include "eval/text_file.h"

#include "io/hash.h"
#include "pare/error.h"
#include "text/datasets/chat.h"
#include "text/datasets/records.h"
#include "text/unicode/plain_text.h"

#include <cstdint>

namespace pare::eval {
namespace {

std::string text_of(const text::Record& record) {
  if (!record.problem.empty()) {
    throw Error(ErrorCode::bad_dataset, record.problem).at(record.where);
  }
  const io::Json& json = record.value;
  if (json.is_string()) return json.get<std::string>();
  const auto field = json.is_object() ? json.find("text") : json.end();
  if (json.is_object() && field != json.end() && field->is_string())
    return field->get<std::string>();
  if (const auto chat = text::find_chat(json)) {
    text::refuse_chat(*chat, record.where, record.element);
  }
  throw Error(ErrorCode::bad_dataset, "a record has no \"text\" of type string")
      .at(record.where)
      .hint("each is one object such as {\"text\": \"…\"}; a plain text file works as well");
}

std::string joined_records(const std::filesystem::path& file) {
  std::string joined;
  bool first = true;
  text::visit_records(file, false, [&](const text::Record& record) {
    if (record.problem.empty() && record.value.is_null()) return true;  // a blank line
    if (!first) joined += "\n\n";
    joined += text_of(record);
    first = false;
    return true;
  });
  return joined;
}

}  // namespace

std::string read_eval_text(const std::filesystem::path& path) {
  return text::is_json_file(path) ? joined_records(path) : text::read_plain_text(path);
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
