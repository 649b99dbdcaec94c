// Patterns of names, and sizes in bytes, as users write them.
#include "pare/error.h"
#include "pare/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace pare {

bool matches_pattern(std::string_view pattern, std::string_view name) noexcept {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_name = 0;
  while (n < name.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') {
      ++p;
      ++n;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

std::size_t parse_bytes(const std::string& text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, static_cast<const char*>(text.data() + text.size()));
  std::erase(unit, ' ');
  const std::array<std::pair<std::string_view, int>, 10> units = {{{"", 0},
                                                                   {"B", 0},
                                                                   {"K", 10},
                                                                   {"KiB", 10},
                                                                   {"M", 20},
                                                                   {"MiB", 20},
                                                                   {"G", 30},
                                                                   {"GiB", 30},
                                                                   {"T", 40},
                                                                   {"TiB", 40}}};
  const auto found =
      std::find_if(units.begin(), units.end(), [&](const auto& u) { return u.first == unit; });
  if (status != std::errc{} || found == units.end() || !(value > 0) || value > 1e15) {
    throw Error(ErrorCode::bad_option_value, fmt::format("\"{}\" is not a size", text))
        .hint("write it as 8GiB, 512MiB or a number of bytes");
  }
  return static_cast<std::size_t>(std::ldexp(value, found->second));
}

std::string human_bytes(std::size_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= std::size_t{1} << 30) return fmt::format("{:.2f} GiB", std::ldexp(value, -30));
  if (bytes >= std::size_t{1} << 20) return fmt::format("{:.1f} MiB", std::ldexp(value, -20));
  if (bytes >= std::size_t{1} << 10) return fmt::format("{:.1f} KiB", std::ldexp(value, -10));
  return fmt::format("{} bytes", bytes);
}

}  // namespace pare
