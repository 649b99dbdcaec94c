#include "pipeline/open/linears.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

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

std::vector<std::string> names_of(const std::vector<LinearEntry>& linears) {
  std::vector<std::string> names;
  for (const LinearEntry& linear : linears) names.push_back(linear.name);
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
std::string near_pattern(const std::string& pattern, const std::vector<LinearEntry>& linears) {
  const std::string near = closest_match(pattern, names_of(linears));
  if (near.empty()) {
    return fmt::format("linears are named like \"{}\"; see `pare inspect`", linears.front().name);
  }
  if (pattern.find('*') == std::string::npos) return fmt::format("did you mean \"{}\"?", near);
  const std::string wide = any_number(near);
  const auto count = std::count_if(linears.begin(), linears.end(), [&](const LinearEntry& l) {
    return matches_pattern(wide, l.name);
  });
  return fmt::format("did you mean \"{}\" ({} matches)?", wide, count);
}

}  // namespace

std::vector<LinearEntry> linears_of(const model::ModelGraph& graph,
                                    const containers::TensorSource& source) {
  std::vector<LinearEntry> linears;
  for (std::size_t i = 0; i < graph.blocks.size(); ++i) {
    for (const model::LinearRole role : model::kLinearRoles) {
      const std::string& name = graph.blocks[i].linear(role);
      const model::LinearShape shape = model::linear_shape(graph.config, role);
      linears.push_back({.name = name, .out = shape.out, .in = shape.in,
                         .weight_source = name + ".weight",
                         .block = static_cast<std::int64_t>(i), .role = role, .kept_because = {}});
    }
  }
  const bool own_head =
      !graph.config.tied_head && source.find(graph.head + ".weight") != nullptr;
  linears.push_back({.name = graph.head, .out = graph.config.vocab_size,
                     .in = graph.config.hidden_size,
                     .weight_source = (own_head ? graph.head : graph.embedding) + ".weight",
                     .block = -1, .role = std::nullopt, .kept_because = {}});
  return linears;
}

std::vector<LinearEntry> linears_by_name(const containers::TensorSource& source) {
  std::vector<LinearEntry> linears;
  for (const containers::TensorInfo& info : source.tensors()) {
    if (!is_linear_weight(info)) continue;
    const std::string module = info.name.substr(0, info.name.size() - 7);
    linears.push_back({.name = module, .out = info.shape[0], .in = info.shape[1],
                       .weight_source = info.name, .block = block_number(info.name),
                       .role = std::nullopt, .kept_because = {}});
  }
  const auto order = [](const LinearEntry& linear) {
    const bool head = contains_any(linear.name, kHeads);
    return std::pair{head ? 1 : 0, linear.block};
  };
  std::stable_sort(linears.begin(), linears.end(), [&](const auto& a, const auto& b) {
    return order(a) < order(b);
  });
  return linears;
}

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
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

void keep_by_pattern(std::vector<LinearEntry>& linears, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    bool matched = false;
    for (LinearEntry& linear : linears) {
      if (!matches_pattern(pattern, linear.name)) continue;
      matched = true;
      linear.kept_because = fmt::format("disable_names \"{}\"", pattern);
    }
    if (matched || linears.empty()) continue;
    throw Error(ErrorCode::pattern_matches_nothing, fmt::format("disable_names \"{}\"", pattern))
        .hint(near_pattern(pattern, linears));
  }
}

void keep_last(std::vector<LinearEntry>& linears) {
  if (linears.empty() || !linears.back().quantized()) return;
  linears.back().kept_because = "last linear (--quantize-last-linear quantizes it)";
}

namespace {

/// Linears that read the same input are the ones that engines fuse.
using Fusion = std::pair<std::int64_t, model::Site>;

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

}  // namespace

std::vector<std::string> split_fusions(const std::vector<LinearEntry>& linears) {
  std::map<Fusion, std::pair<std::vector<std::string>, std::vector<std::string>>> members;
  for (const LinearEntry& linear : linears) {
    if (!linear.role.has_value()) continue;
    auto& [quantized, kept] = members[{linear.block, model::site_of(*linear.role)}];
    (linear.quantized() ? quantized : kept).push_back(last_part(linear.name));
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
