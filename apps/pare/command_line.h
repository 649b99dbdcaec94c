// From arguments to a verb that is ready to run.
#pragma once

#include "verb.h"

#include <string>
#include <vector>

namespace pare::app {

struct Command {
  const Verb* verb = nullptr;  // null: `text` is all there is to do
  Run run;
  int threads = 0;
  bool quiet = false;
  bool json = false;
  std::string text;  // help or version, to be printed
};

/// `arguments` without the program's name.
/// Errors: bad_usage (with a near match), bad_option_value.
Command parse_command_line(const std::vector<std::string>& arguments);

}  // namespace pare::app
