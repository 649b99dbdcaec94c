#include "check/layouts/name_patterns.h"

#include <algorithm>
#include <string>
#include <vector>

namespace pare::check {
namespace {

/// Every run of plain characters of a regular expression, dots written as "\." included.
std::vector<std::string> plain_runs(std::string_view pattern) {
  std::vector<std::string> runs(1);
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool escaped_dot = pattern[i] == '\\' && i + 1 < pattern.size() && pattern[i + 1] == '.';
    if (escaped_dot) ++i;
    const char c = pattern[i];
    const bool plain = escaped_dot || c == '_' || (c >= '0' && c <= '9') ||
                       (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (plain)
      runs.back() += c;
    else if (!runs.back().empty())
      runs.emplace_back();
  }
  return runs;
}

}  // namespace

bool may_match(std::string_view pattern, std::string_view module) {
  // Alternatives, classes and optional parts: what is plain in them need not be in the name.
  if (pattern.find_first_of("|[(?") != std::string_view::npos) return true;
  const std::vector<std::string> runs = plain_runs(pattern);
  return std::all_of(runs.begin(), runs.end(), [&](const std::string& run) {
    return module.find(run) != std::string_view::npos;
  });
}

}  // namespace pare::check
