// Options of a verb, added one by one or from a table of parameters. CLI11 stays behind them, since
// every file that includes its headers takes seconds to compile.
#pragma once

#include "pare/job.h"
#include "verb.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace pare::app {

/// How an option stands in the help, and whether it must be given.
struct OptionStyle {
  bool required = false;
  std::string group = {};       // "" is the group of options without one
  std::string value_name = {};  // "" is a word for the type
};

/// `names` is "--tp", "-o,--out" or, for a positional, "MODEL". Parsing writes to `value`, which
/// must outlive it.
void add_option(CLI::App& app, const std::string& names, std::string& value,
                const std::string& help, const OptionStyle& style = {});
void add_option(CLI::App& app, const std::string& names, std::filesystem::path& value,
                const std::string& help, const OptionStyle& style = {});

/// A whole number of [1, `most`].
void add_count(CLI::App& app, const std::string& names, std::int64_t& value, std::int64_t most,
               const std::string& help);

/// True when it is given.
void add_flag(CLI::App& app, const std::string& names, bool& value, const std::string& help,
              const OptionStyle& style = {});

/// Adds one option per spec ("group_size" becomes --group-size) under `group` of the help, and
/// fills the defaults of `specs` into `values`. Parsing sets `values` through ParamMap::set, so a
/// value that is not allowed is Error(bad_option_value) at "--group-size". Flags take no value;
/// lists take several: joined by commas, one after the other, or with the option given again. A
/// spec whose option exists already is left to the first one. `specs` and `values` must outlive the
/// parsing.
void add_params(CLI::App& app, std::span<const ParamSpec> specs, ParamMap& values,
                const std::string& group = "Options");

/// The same options once more under the names as the specs spell them (--group_size), for scripts
/// written for other tools. They are not in the help and fill no defaults.
void add_params_as_spelled(CLI::App& app, std::span<const ParamSpec> specs, ParamMap& values);

}  // namespace pare::app
