// Regular expressions that configurations name modules with. They are not evaluated, since they
// come from files: what is plain text in them must be part of the name.
#pragma once

#include <string_view>

namespace pare::check {

/// False when the pattern cannot match the module; true when it does, or may.
bool may_match(std::string_view pattern, std::string_view module);

}  // namespace pare::check
