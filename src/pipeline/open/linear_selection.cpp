#include "pipeline/open/linear_selection.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pare/error.h"
#include "pare/job.h"

namespace pare::pipeline {
namespace {

bool contains_any(std::string_view name, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return name.find(word) != std::string_view::npos;
  });
}

constexpr std::array<std::string_view, 8> kNeverLinear = {
    "embed", "wte", "wpe", "norm", "ln_", "rotary", "position", "router"};
constexpr std::array<std::string_view, 4> kHeads = {"lm_head", "output_layer", "embed_out",
                                                    "score"};

/// The number behind the first ".N." of a name: its block.
std::int64_t block_number(std::string_view name) {
  for (std::size_t i = name.find('.'); i != std::string_view::npos; i = name.find('.', i + 1)) {
    std::size_t end = i + 1;
    std::int64_t number = 0;
    while (end < name.size() && end - i < 7 && name[end] >= '0' && name[end] <= '9') {
      number = number * 10 + (name[end++] - '0');
    }
    if (end > i + 1 && end < name.size() && name[end] == '.') return number;
  }
  return -1;
}

bool is_linear_weight(const containers::TensorInfo& info) {
  return info.shape.rank() == 2 && is_weight_float(info.dtype) && info.name.ends_with(".weight") &&
         !contains_any(info.name, kNeverLinear);
}

std::vector<std::string> names_of(const LinearSelection& linears) {
  std::vector<std::string> names;
  for (const model::Module& linear : linears.all()) names.push_back(linear.name);
  return names;
}

/// "model.layers.*.mlp.up_proj" for "model.layers.3.mlp.up_proj".
std::string any_number(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const std::string_view part = name.substr(0, name.find('.'));
    const bool number = part.find_first_not_of("0123456789") == std::string_view::npos;
    out += number ? "*" : part;
    name.remove_prefix(part.size());
    if (name.empty()) break;
    out += '.';
    name.remove_prefix(1);
  }
  return out;
}

/// The hint for a pattern that matched nothing: the nearest name, or the pattern it suggests.
std::string near_pattern(const std::string& pattern, const LinearSelection& linears) {
  const std::string near = closest_match(pattern, names_of(linears));
  if (near.empty()) {
    return fmt::format("linears are named like \"{}\"; see `pare inspect`", linears.all().front().name);
  }
  if (pattern.find('*') == std::string::npos) return fmt::format("did you mean \"{}\"?", near);
  const std::string wide = any_number(near);
  const std::vector<model::Module>& all = linears.all();
  const auto count = std::count_if(all.begin(), all.end(), [&](const model::Module& linear) {
    return matches_pattern(wide, linear.name);
  });
  return fmt::format("did you mean \"{}\" ({} matches)?", wide, count);
}

}  // namespace

void LinearSelection::keep(const std::string& linear, std::string reason) {
  kept_[linear] = std::move(reason);
}

const std::string& LinearSelection::kept_because(const std::string& linear) const noexcept {
  static const std::string kNothing;
  const auto found = kept_.find(linear);
  return found == kept_.end() ? kNothing : found->second;
}

std::vector<model::Module> LinearSelection::quantized() const {
  std::vector<model::Module> chosen;
  for (const model::Module& linear : all_) {
    if (quantizes(linear)) chosen.push_back(linear);
  }
  return chosen;
}

std::size_t LinearSelection::quantized_count() const noexcept { return all_.size() - kept_.size(); }

std::int64_t LinearSelection::quantized_weights() const {
  std::int64_t sum = 0;
  for (const model::Module& linear : all_) sum += quantizes(linear) ? linear.weights() : 0;
  return sum;
}

std::vector<model::Module> linears_of(const model::ModelGraph& graph) {
  std::vector<model::Module> linears;
  for (const model::Module& module : graph.modules) {
    if (module.multiplies()) linears.push_back(module);
  }
  return linears;
}

std::vector<model::Module> linears_by_name(const containers::TensorSource& source) {
  std::vector<model::Module> linears;
  for (const containers::TensorInfo& info : source.tensors()) {
    if (!is_linear_weight(info)) continue;
    model::Module linear;
    linear.name = model::module_of(info.name);
    linear.kind = contains_any(linear.name, kHeads) ? model::ModuleKind::head
                                                    : model::ModuleKind::linear;
    linear.block = block_number(info.name);
    linear.shape = info.shape;
    linear.source = info.name;
    linears.push_back(std::move(linear));
  }
  const auto order = [](const model::Module& linear) {
    return std::pair{linear.kind == model::ModuleKind::head ? 1 : 0, linear.block};
  };
  std::stable_sort(linears.begin(), linears.end(), [&](const auto& a, const auto& b) {
    return order(a) < order(b);
  });
  return linears;
}

void keep_by_pattern(LinearSelection& linears, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    bool matched = false;
    for (const model::Module& linear : linears.all()) {
      if (!matches_pattern(pattern, linear.name)) continue;
      matched = true;
      linears.keep(linear.name, fmt::format("disable_names \"{}\"", pattern));
    }
    if (matched || linears.all().empty()) continue;
    throw Error(ErrorCode::pattern_matches_nothing, fmt::format("disable_names \"{}\"", pattern))
        .hint(near_pattern(pattern, linears));
  }
}

void keep_last(LinearSelection& linears) {
  if (linears.all().empty() || !linears.quantizes(linears.all().back())) return;
  linears.keep(linears.all().back().name,
               "last linear (--quantize-last-linear quantizes it)");
}

namespace {

/// Linears that read the same input are the ones that engines fuse.
using Fusion = std::pair<std::int64_t, model::Site>;

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

}  // namespace

std::vector<std::string> split_fusions(const LinearSelection& linears) {
  std::map<Fusion, std::pair<std::vector<std::string>, std::vector<std::string>>> members;
  for (const model::Module& linear : linears.all()) {
    if (!linear.site.has_value()) continue;
    auto& [quantized, kept] = members[{linear.block, *linear.site}];
    (linears.quantizes(linear) ? quantized : kept).push_back(last_part(linear.name));
  }
  std::vector<std::string> lines;
  for (const auto& [fusion, parts] : members) {
    const auto& [quantized, kept] = parts;
    if (quantized.empty() || kept.empty()) continue;
    lines.push_back(fmt::format("block {}: {} quantized, {} kept in float", fusion.first,
                                fmt::join(quantized, " and "), fmt::join(kept, " and ")));
  }
  return lines;
}

}  // namespace pare::pipeline
