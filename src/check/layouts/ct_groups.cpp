#include "check/layouts/ct_groups.h"

#include "check/json_view.h"

#include <algorithm>

namespace pare::check {
namespace {

std::optional<CtArgs> read_args(const io::Json* json) {
  if (json == nullptr || !json->is_object()) return std::nullopt;
  CtArgs args;
  args.json = json;
  args.bits = integer_of(member(*json, "num_bits")).value_or(8);
  args.type = text_of(member(*json, "type")).value_or("int");
  args.symmetric = flag_of(member(*json, "symmetric")).value_or(true);
  args.dynamic = flag_of(member(*json, "dynamic")).value_or(false);
  args.group_size = integer_of(member(*json, "group_size"));
  const bool grouped = args.group_size.value_or(0) > 0;
  args.strategy = text_of(member(*json, "strategy"))
                      .value_or(grouped                 ? "group"
                                : args.group_size == -1 ? "channel"
                                                        : "tensor");
  return args;
}

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

bool may_match(std::string_view pattern, std::string_view module) {
  // Alternatives, classes and optional parts: what is plain in them need not be in the name.
  if (pattern.find_first_of("|[(?") != std::string_view::npos) return true;
  const std::vector<std::string> runs = plain_runs(pattern);
  return std::all_of(runs.begin(), runs.end(), [&](const std::string& run) {
    return module.find(run) != std::string_view::npos;
  });
}

bool speaks_of(const std::string& entry, const std::string& module) {
  if (entry.starts_with("re:")) return may_match(std::string_view(entry).substr(3), module);
  return entry == module || entry == "Linear";
}

}  // namespace

std::vector<CtGroup> ct_groups(const Folder& folder) {
  std::vector<CtGroup> groups;
  const io::Json* all = member(folder.quantization(), "config_groups");
  if (all == nullptr || !all->is_object()) return groups;
  for (const auto& [name, json] : all->items()) {
    groups.push_back({name, texts_of(member(json, "targets")), read_args(member(json, "weights")),
                      read_args(member(json, "input_activations"))});
  }
  return groups;
}

const CtGroup* group_of(const std::vector<CtGroup>& groups, const std::string& linear) {
  const auto named = [&](const CtGroup& group) {
    return std::find(group.targets.begin(), group.targets.end(), linear) != group.targets.end();
  };
  const auto spoken_of = [&](const CtGroup& group) {
    return std::any_of(group.targets.begin(), group.targets.end(),
                       [&](const std::string& target) { return speaks_of(target, linear); });
  };
  auto found = std::find_if(groups.begin(), groups.end(), named);
  if (found == groups.end()) found = std::find_if(groups.begin(), groups.end(), spoken_of);
  return found == groups.end() ? nullptr : &*found;
}

bool is_ignored(const std::vector<std::string>& ignore, const std::string& module) {
  return std::any_of(ignore.begin(), ignore.end(),
                     [&](const std::string& entry) { return speaks_of(entry, module); });
}

}  // namespace pare::check
