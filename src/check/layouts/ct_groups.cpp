#include "check/layouts/ct_groups.h"

#include "check/json_view.h"
#include "check/layouts/name_patterns.h"

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

bool speaks_of(const std::string& entry, const std::string& module) {
  if (entry.starts_with("re:")) return may_match(std::string_view(entry).substr(3), module);
  return entry == module || entry == "Linear";
}

}  // namespace

std::vector<CtGroup> ct_groups(const Folder& folder) {
  std::vector<CtGroup> groups;
  const io::Json* all = member(folder.quantization(), "config_groups");
  if (all == nullptr || !all->is_object()) return groups;
  std::string whole = text_of(member(folder.quantization(), "format")).value_or("");
  if (whole == "mixed-precision") whole.clear();
  for (const auto& [name, json] : all->items()) {
    groups.push_back({name, texts_of(member(json, "targets")), read_args(member(json, "weights")),
                      read_args(member(json, "input_activations")),
                      text_of(member(json, "format")).value_or(whole)});
  }
  return groups;
}

bool has_rules_for(const std::string& ct_format) noexcept {
  return ct_format.empty() || ct_format == "pack-quantized" || ct_format == "int-quantized" ||
         ct_format == "naive-quantized";
}

std::set<std::string> ct_formats_without_rules(const Folder& folder) {
  std::set<std::string> formats;
  for (const CtGroup& group : ct_groups(folder))
    formats.insert(group.format);
  const std::string whole = text_of(member(folder.quantization(), "format")).value_or("");
  if (formats.empty() && whole != "mixed-precision") formats.insert(whole);
  std::erase_if(formats, has_rules_for);
  return formats;
}

bool is_packed_by_rules(const std::vector<CtGroup>& groups, const Folder& folder,
                        const std::string& linear) {
  const StoredTensor* words = folder.weights().find(linear + ".weight_packed");
  if (words == nullptr || words->info.dtype == DType::i32) return true;
  const CtGroup* group = group_of(groups, linear);
  return group == nullptr || has_rules_for(group->format);
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
