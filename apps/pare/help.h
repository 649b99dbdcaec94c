// What `pare --help`, `pare VERB --help` and `pare --version` print.
#pragma once

#include "verb.h"

#include <string>

namespace pare::app {

std::string main_help();
std::string version_text();

/// Gives the verb's app its description, the layout of its options, and its examples.
void dress_help(CLI::App& app, const Verb& verb);

}  // namespace pare::app
