// Conversations among records: told apart from other data, so that they can be refused by name.
#pragma once

#include "io/json.h"

#include <optional>
#include <string>
#include <string_view>

namespace pare::text {

/// A list of turns in a record.
struct Chat {
  std::string field;         // "messages"; "" when the record itself is the list
  std::string_view speaker;  // the fields of a turn: "role" and "content", or "from" and "value"
  std::string_view said;
  std::size_t turns = 0;
};

/// The first list of turns that a record holds, or is; nothing when it is no conversation.
std::optional<Chat> find_chat(const io::Json& record);

/// Throws bad_dataset: what the record is, and how to make text of it with `jq`. `element` when the
/// file is one array of records.
[[noreturn]] void refuse_chat(const Chat& chat, const std::string& where, bool element);

/// Whether `jq` takes the name of a member as it is, and a shell, too.
bool is_plain_name(std::string_view name) noexcept;

}  // namespace pare::text
