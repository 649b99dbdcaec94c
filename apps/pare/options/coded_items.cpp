#include "options/coded_items.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::app {
namespace {

/// 1 when there is nothing.
double ratio_of(const CodedItem& item) noexcept {
  return item.from == 0 ? 1 : static_cast<double>(item.to) / static_cast<double>(item.from);
}

}  // namespace

void show_coded(Console& console, const std::vector<CodedItem>& items) {
  std::size_t width = 0;
  for (const CodedItem& item : items)
    width = std::max(width, item.name.size());
  for (const CodedItem& item : items) {
    console.result(fmt::format("  {:<{}} {:>12} {:>12}  {:.4f}{}{}", item.name, width, item.from,
                               item.to, ratio_of(item), item.note.empty() ? "" : "  ", item.note));
  }
}

}  // namespace pare::app
