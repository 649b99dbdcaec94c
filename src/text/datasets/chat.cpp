#include "text/datasets/chat.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace pare::text {
namespace {

/// OpenAI's form, and that of ShareGPT.
constexpr std::array kTurns = {std::pair<std::string_view, std::string_view>{"role", "content"},
                               std::pair<std::string_view, std::string_view>{"from", "value"}};

std::optional<Chat> turns_in(const io::Json& list) {
  if (!list.is_array() || list.empty() || !list[0].is_object()) return std::nullopt;
  for (const auto& [speaker, said] : kTurns) {
    if (!list[0].contains(speaker) || !list[0].contains(said)) continue;
    return Chat{.field = "", .speaker = speaker, .said = said, .turns = list.size()};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Chat> find_chat(const io::Json& record) {
  if (!record.is_object()) return turns_in(record);
  for (const auto& [name, value] : record.items()) {
    std::optional<Chat> chat = turns_in(value);
    if (!chat.has_value()) continue;
    chat->field = name;
    return chat;
  }
  return std::nullopt;
}

bool is_plain_name(std::string_view name) noexcept {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return std::all_of(name.begin(), name.end(), plain) &&
         (name.empty() || name[0] < '0' || name[0] > '9');
}

void refuse_chat(const Chat& chat, const std::string& where, bool element) {
  std::string hint = "make text of it first";
  if (is_plain_name(chat.field)) {
    hint += fmt::format(
        ": jq -c '{}{{text: ([.{}[].{} | strings] | join(\"\\n\"))}}' FILE > prompts.jsonl",
        element ? ".[] | " : "", chat.field, chat.said);
  }
  throw Error(ErrorCode::bad_dataset,
              fmt::format("a conversation{}, {} turns of {} and {}: chat data is not read yet",
                          chat.field.empty() ? "" : fmt::format(" in \"{}\"", chat.field),
                          chat.turns, chat.speaker, chat.said))
      .at(where)
      .hint(hint);
}

}  // namespace pare::text
