#include "containers/find_tensor.h"

#include <algorithm>

namespace pare::containers {

const TensorInfo* find_tensor(std::span<const TensorInfo> tensors, std::string_view name) noexcept {
  const auto found = std::lower_bound(
      tensors.begin(), tensors.end(), name,
      [](const TensorInfo& info, std::string_view wanted) { return info.name < wanted; });
  return found == tensors.end() || found->name != name ? nullptr : &*found;
}

}  // namespace pare::containers
