// Element types that Pare does not know, by their names.
#pragma once

#include <string_view>

namespace pare::containers {

/// Letters, digits and underscores, not too many: what a later version of a format may call a type.
bool may_be_type_name(std::string_view name) noexcept;

}  // namespace pare::containers
