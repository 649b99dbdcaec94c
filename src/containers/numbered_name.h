// Names of the parts of one set of weights: "model-00002-of-00005.safetensors".
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pare::containers {

/// "model", 2 and 5 of "model-00002-of-00005.safetensors".
struct NumberedName {
  std::string base;
  int number = 0;
  int count = 0;
};

/// nullopt when the name is none of a part. `ending` with the dot.
std::optional<NumberedName> numbered_name(std::string_view file, std::string_view ending);

}  // namespace pare::containers
