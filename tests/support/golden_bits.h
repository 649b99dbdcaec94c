// Golden JSON files of tests/golden/numerics, where an f32 is the integer of its bits.
#pragma once

#include "io/nlohmann.h"

#include <bit>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace pare::test {

inline nlohmann::json golden_numerics(const std::string& name) {
  std::ifstream stream(std::string(PARE_SOURCE_DIR) + "/tests/golden/numerics/" + name);
  return nlohmann::json::parse(stream);
}

inline std::vector<float> floats_of(const nlohmann::json& bits) {
  std::vector<float> values;
  for (const std::uint32_t one : bits)
    values.push_back(std::bit_cast<float>(one));
  return values;
}

}  // namespace pare::test
