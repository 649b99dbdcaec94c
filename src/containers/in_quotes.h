// Names that come from files, as they may be shown: a hostile one must neither fill nor steer a
// terminal.
#pragma once

#include <string>
#include <string_view>

namespace pare::containers {

/// True when the bytes are well-formed UTF-8 (RFC 3629).
bool is_utf8(std::string_view text) noexcept;

/// The text in double quotes, cut at about 120 bytes; control characters, and every byte beyond
/// ASCII when the text is not UTF-8, become \xNN.
std::string in_quotes(std::string_view text);

}  // namespace pare::containers
