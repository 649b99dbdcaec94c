// What verbs that code weights share: --verbose, and the lines it prints.
#pragma once

#include "console.h"
#include "pare/job.h"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace pare::app {

inline constexpr std::array kVerboseParam = {
    ParamSpec{.name = "verbose",
              .type = ParamType::flag,
              .help = "one line per tensor: bytes before and after, and their ratio"}};

/// One line of --verbose.
struct CodedItem {
  std::string name;
  std::size_t from = 0;  // bytes
  std::size_t to = 0;
  std::string note;  // why it was not coded; "" when it was
};
void show_coded(Console& console, const std::vector<CodedItem>& items);

}  // namespace pare::app
