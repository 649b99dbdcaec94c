#include "pipeline/open/linear_selection.h"

#include "model/module_names.h"
#include "model/router_names.h"
#include "pare/error.h"
#include "pare/job.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace pare::pipeline {
namespace {

/// Linears below one module that read the same input are the ones that engines fuse.
using Fusion = std::pair<std::string_view, std::optional<model::Site>>;

Fusion fusion_of(const model::Module& linear) {
  return {model::parent_of(linear.name), linear.site};
}

std::vector<std::string> names_of(const LinearSelection& linears) {
  std::vector<std::string> names;
  for (const model::Module& linear : linears.all())
    names.push_back(linear.name);
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
    return fmt::format("linears are named like \"{}\"; see `pare inspect`",
                       linears.all().front().name);
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

std::vector<std::string> LinearSelection::fused_with(const std::string& linear) const {
  const auto same = [&](const model::Module& other) { return other.name == linear; };
  const auto found = std::find_if(all_.begin(), all_.end(), same);
  if (found == all_.end() || !found->site.has_value()) return {linear};
  std::vector<std::string> names;
  for (const model::Module& other : all_) {
    if (fusion_of(other) == fusion_of(*found)) names.push_back(other.name);
  }
  return names;
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
  for (const model::Module& linear : all_)
    sum += quantizes(linear) ? linear.weights() : 0;
  return sum;
}

std::vector<model::Module> linears_of(const model::ModelGraph& graph) {
  std::vector<model::Module> linears;
  for (const model::Module& module : graph.modules) {
    if (module.multiplies()) linears.push_back(module);
  }
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

void keep_heads(LinearSelection& linears) {
  for (const model::Module& linear : linears.all()) {
    if (linear.kind != model::ModuleKind::head || !linears.quantizes(linear)) continue;
    linears.keep(linear.name, "last linear (--quantize-last-linear quantizes it)");
  }
}

void keep_gates(LinearSelection& linears) {
  for (const model::Module& linear : linears.all()) {
    if (model::is_router_name(linear.name)) {
      linears.keep(linear.name, "router of a mixture of experts: engines load it in float");
    } else if (linear.out() == 1) {
      linears.keep(linear.name, "one row: a gate or a score");
    }
  }
}

namespace {

struct Members {
  std::int64_t block = 0;
  std::vector<std::string_view> quantized;
  std::vector<std::string_view> kept;
};

}  // namespace

std::vector<std::string> split_fusions(const LinearSelection& linears) {
  std::map<Fusion, Members> fusions;
  for (const model::Module& linear : linears.all()) {
    if (!linear.site.has_value()) continue;
    Members& members = fusions[fusion_of(linear)];
    members.block = linear.block;
    (linears.quantizes(linear) ? members.quantized : members.kept)
        .push_back(model::last_name(linear.name));
  }
  std::vector<std::string> lines;
  for (const auto& [fusion, members] : fusions) {
    if (members.quantized.empty() || members.kept.empty()) continue;
    lines.push_back(fmt::format("block {}: {} quantized, {} kept in float", members.block,
                                fmt::join(members.quantized, " and "),
                                fmt::join(members.kept, " and ")));
  }
  return lines;
}

}  // namespace pare::pipeline
