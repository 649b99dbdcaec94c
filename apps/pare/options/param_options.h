// Command-line options made from ParamSpec tables.
#pragma once

#include "pare/job.h"

#include <CLI/CLI.hpp>

#include <span>
#include <string>

namespace pare::app {

/// Adds one option per spec ("group_size" becomes --group-size) under `group` of the help, and
/// fills the defaults of `specs` into `values`. Parsing sets `values` through ParamMap::set, so a
/// value that is not allowed is Error(bad_option_value) at "--group-size". Flags take no value;
/// lists take one value or more. A spec whose option exists already is left to the first one.
/// `specs` and `values` must outlive the parsing.
void add_params(CLI::App& app, std::span<const ParamSpec> specs, ParamMap& values,
                const std::string& group = "Options");

}  // namespace pare::app
