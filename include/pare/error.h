// The one exception class of Pare, its codes, and how an error reads.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace pare {

/// What an error means for the caller; decides the exit code of the program.
enum class ErrorKind {
  usage,        // 2: wrong options or recipe
  not_found,    // 3
  io,           // 3
  bad_format,   // 3: a file says something impossible
  unsupported,  // 4
  numeric,      // 5
  quality,      // 6: a gate the user set was missed
  cancelled,    // 130
  internal      // 70: our own mistake
};

/// Every error has one code from errors.def.
enum class ErrorCode : int {
#define PARE_ERROR(name, number, kind, title) name = number,
#include "pare/errors.def"
#undef PARE_ERROR
};

ErrorKind kind_of(ErrorCode code) noexcept;
std::string_view title_of(ErrorCode code) noexcept;
int exit_code_of(ErrorKind kind) noexcept;

/// One failure: what (code and detail), where, and what to do about it.
///
///     throw Error(ErrorCode::pattern_matches_nothing, "\"model.layer.*\"")
///         .at("recipe.yaml:14").hint("did you mean \"model.layers.*\" (24 matches)?");
///
/// Callers on the way up may add where they were (file, tensor, layer) with `at`.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string detail);

  Error&& at(std::string where) &&;
  Error& at(std::string where) &;
  Error&& hint(std::string what_to_do) &&;

  ErrorCode code() const noexcept { return code_; }
  ErrorKind kind() const noexcept { return kind_of(code_); }
  const std::string& detail() const noexcept { return detail_; }
  const std::vector<std::string>& where() const noexcept { return where_; }
  const std::string& hint() const noexcept { return hint_; }

  /// The full text in the form `error[E0312] title: detail`, `  --> where`, `  hint`.
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  void rebuild();

  ErrorCode code_;
  std::string detail_;
  std::vector<std::string> where_;  // innermost first
  std::string hint_;
  std::string text_;
};

/// `text` fit for a terminal or a log: bytes that are no UTF-8, and control characters other than
/// the line end, become \\xNN. Names and values from files pass through it on their way out.
std::string printable(std::string_view text);

/// Closest entry of `known` to `word` by edit distance, or "" when none is near enough to suggest.
std::string closest_match(std::string_view word, const std::vector<std::string>& known);

}  // namespace pare
