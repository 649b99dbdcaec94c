#include "containers/type_name.h"

#include <algorithm>

namespace pare::containers {

bool may_be_type_name(std::string_view name) noexcept {
  constexpr std::size_t kMostBytes = 32;
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && name.size() <= kMostBytes &&
         std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace pare::containers
