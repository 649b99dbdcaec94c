// What an operation is told: parameters as data, and the job that is made of them.
// The command line, recipes and `pare list` are all made from ParamSpec tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare {

enum class ParamType { flag, integer, number, text, choice, list };

/// One parameter. Names are spelt with underscores; the command line accepts dashes as well.
struct ParamSpec {
  std::string_view name;           // "group_size"
  ParamType type = ParamType::text;
  std::string_view default_value = {};  // as text; "" = unset
  std::string_view choices = {};        // "32|64|128|256": the values allowed (integer, text or choice)
  double min = 0;                  // number and integer without choices: the range, when min < max
  double max = 0;
  std::string_view help = {};           // one line, starts lower case, no full stop
};

/// Values by parameter name; every value has passed the check of its ParamSpec.
class ParamMap {
 public:
  /// Checks `value` against `spec` and stores it.
  /// Errors: bad_option_value (what was given, what is allowed), placed `at` where it came from.
  void set(const ParamSpec& spec, std::string_view value, const std::string& where);
  void set_list(const ParamSpec& spec, std::vector<std::string> values);

  /// True when the user gave a value (defaults do not count).
  bool given(std::string_view name) const;

  /// Fills the default of every spec that has one and was not given.
  void fill_defaults(std::span<const ParamSpec> specs);

  bool flag(std::string_view name) const;
  std::int64_t integer(std::string_view name, std::int64_t if_unset = 0) const;
  double number(std::string_view name, double if_unset = 0) const;
  std::string text(std::string_view name, std::string_view if_unset = "") const;
  const std::vector<std::string>& list(std::string_view name) const;

  /// All values set, given or default, by name: what a resolved recipe stores.
  const std::map<std::string, std::vector<std::string>, std::less<>>& values() const noexcept {
    return values_;
  }

 private:
  const std::string* single(std::string_view name) const;

  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::map<std::string, bool, std::less<>> given_;
};

/// "group_size" for "group-size" and "group_size".
std::string canonical_param_name(std::string_view name);

/// "--group-size" for "group_size".
std::string option_name(std::string_view param_name);

/// Whether a name matches a pattern with `*` (any run of characters) and `?` (any one).
bool matches_pattern(std::string_view pattern, std::string_view name) noexcept;

/// Bytes of "8GiB", "512 MiB", "2G", "1000000". Errors: bad_option_value.
std::size_t parse_bytes(const std::string& text);

/// "1.4 GiB", "13.3 MiB".
std::string human_bytes(std::size_t bytes);

/// How to run, as opposed to what to make: not part of a recipe.
struct RunOptions {
  std::optional<std::size_t> max_memory;  // bytes; what needs more is refused before it begins
  bool dry_run = false;                   // plan only: `out` may be absent, or exist
  bool overwrite = false;                 // replace an output folder that Pare made before
};

/// A model folder to make another one of.
struct Job {
  std::filesystem::path model;
  std::filesystem::path out;
  ParamMap params;  // checked; defaults filled in
  RunOptions run;
};

}  // namespace pare
