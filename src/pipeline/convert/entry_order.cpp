// Puts the entries of a source into the order of its model.
#include "pipeline/convert/entry_order.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace pare::pipeline {
namespace {

constexpr std::string_view kBias = ".bias";

/// Orders names as people count: layers.2 before layers.10.
bool natural_less(std::string_view a, std::string_view b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
      continue;
    }
    const auto end = [&](std::string_view s, std::size_t at) {
      while (at < s.size() && digit(s[at]))
        ++at;
      return at;
    };
    const std::string_view x = a.substr(i, end(a, i) - i);
    const std::string_view y = b.substr(j, end(b, j) - j);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
    i += x.size();
    j += y.size();
  }
  return a.size() - i < b.size() - j;
}

/// Orders entries like the modules of a model, with those it does not know behind them.
class ModuleOrder {
 public:
  explicit ModuleOrder(const std::optional<model::ModelGraph>& graph) {
    if (!graph.has_value()) return;
    for (const model::Module& module : graph->modules)
      places_.emplace(module.name, places_.size());
  }

  bool operator()(const InventoryEntry& a, const InventoryEntry& b) const {
    const auto [module_a, name_a] = key(a);
    const auto [module_b, name_b] = key(b);
    const std::size_t place_a = place(module_a);
    const std::size_t place_b = place(module_b);
    if (place_a != place_b) return place_a < place_b;
    if (module_a != module_b) return natural_less(module_a, module_b);
    const bool bias_a = name_a.ends_with(kBias);
    const bool bias_b = name_b.ends_with(kBias);
    return bias_a != bias_b ? bias_b : name_a < name_b;
  }

 private:
  std::size_t place(const std::string& module) const {
    const auto found = places_.find(module);
    return found == places_.end() ? places_.size() : found->second;
  }

  static std::pair<std::string, std::string> key(const InventoryEntry& entry) {
    if (entry.linear.has_value()) return {entry.linear->name, entry.linear->name};
    return {model::module_of(entry.tensor.name), entry.tensor.name};
  }

  std::map<std::string, std::size_t> places_;
};

}  // namespace

void sort_by_module(std::vector<InventoryEntry>& entries,
                    const std::optional<model::ModelGraph>& graph) {
  std::sort(entries.begin(), entries.end(), ModuleOrder(graph));
}

}  // namespace pare::pipeline
