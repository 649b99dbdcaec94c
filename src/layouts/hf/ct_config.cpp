// The configuration of compressed-tensors: made from plans, and read with checks.
#include "layouts/hf/ct.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare::layout {
namespace {

/// Settings that linears of one config group share.
struct Kind {
  quant::Scheme scheme;
  bool act_order = false;
  bool symmetric_input = false;
  std::vector<std::string> names;
};

std::vector<Kind> kinds_of(const OutputPlan& plan) {
  std::vector<Kind> kinds;
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) continue;
    const quant::LinearHeader& l = *entry.linear;
    const auto same = [&](const Kind& kind) {
      return kind.scheme == l.scheme && kind.act_order == l.act_order &&
             kind.symmetric_input == l.symmetric_input;
    };
    auto kind = std::find_if(kinds.begin(), kinds.end(), same);
    if (kind == kinds.end()) {
      kinds.push_back({l.scheme, l.act_order, l.symmetric_input, {}});
      kind = std::prev(kinds.end());
    }
    kind->names.push_back(l.name);
  }
  return kinds;
}

std::string_view strategy_of(const quant::Scheme& scheme) noexcept {
  if (scheme.granularity == quant::Granularity::group) return "group";
  return scheme.granularity == quant::Granularity::tensor ? "tensor" : "channel";
}

io::Json weight_args(const Kind& kind) {
  const quant::Scheme& scheme = kind.scheme;
  io::Json args = {{"num_bits", scheme.weight_bits},
                   {"type", "int"},
                   {"symmetric", scheme.symmetric},
                   {"strategy", strategy_of(scheme)}};
  // The key is allowed with this strategy only.
  if (scheme.granularity == quant::Granularity::group) args["group_size"] = scheme.group_size;
  args["dynamic"] = false;
  if (!is_ct_packed(scheme)) return args;
  args["actorder"] = kind.act_order ? io::Json("group") : io::Json(nullptr);
  return args;
}

io::Json input_args(const Kind& kind) {
  if (kind.scheme.activations == quant::Activations::none) return nullptr;
  const bool dynamic = kind.scheme.activations == quant::Activations::dynamic_token;
  return {{"num_bits", 8},
          {"type", "int"},
          {"symmetric", dynamic || kind.symmetric_input},
          {"strategy", dynamic ? "token" : "tensor"},
          {"dynamic", dynamic}};
}

[[noreturn]] void refuse_value(const QuantConfig& config, std::string_view key,
                               const std::string& value) {
  config.refuse_feature(fmt::format("compressed-tensors with \"{}\": {}", key, value),
                        "Pare reads whole-number weights of 4 and 8 bits with int8 activations or "
                        "none");
}

bool is_absent(const io::Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null();
}

void check_format(const QuantConfig& config, const std::string& format) {
  constexpr std::array<std::string_view, 4> kKnown = {"pack-quantized", "int-quantized",
                                                      "naive-quantized", "mixed-precision"};
  if (std::find(kKnown.begin(), kKnown.end(), format) != kKnown.end()) return;
  refuse_value(config, "format", format);
}

QuantConfig part(const QuantConfig& config, const io::Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_object()) {
    config.refuse(fmt::format("\"{}\" is no object", key), "");
  }
  return {*found, config.file()};
}

void read_weights(const QuantConfig& config, const QuantConfig& args, CtConfigGroup& group) {
  if (args.text("type", "", "int") != "int")
    refuse_value(config, "type", args.json()["type"].dump());
  group.weight_bits = static_cast<int>(args.integer("num_bits", "", 8));
  if (group.weight_bits != 4 && group.weight_bits != 8) {
    refuse_value(config, "num_bits", std::to_string(group.weight_bits));
  }
  const std::int64_t size = args.integer("group_size", "", 0);
  group.group_size = std::max<std::int64_t>(0, size);
  group.strategy = args.text("strategy", "",
                             size > 0     ? "group"
                             : size == -1 ? "channel"
                                          : "tensor");
  if (group.strategy != "channel" && group.strategy != "group" && group.strategy != "tensor") {
    refuse_value(config, "strategy", group.strategy);
  }
}

quant::Activations read_activations(const QuantConfig& config, const QuantConfig& args) {
  const io::Json& json = args.json();
  if (args.text("type", "", "int") != "int" || args.integer("num_bits", "", 8) != 8) {
    refuse_value(config, "input_activations", json.dump());
  }
  const bool local = !is_absent(json, "dynamic") && json["dynamic"].is_string();
  if (local) refuse_value(config, "dynamic", json["dynamic"].dump());
  const bool dynamic = args.flag("dynamic", false);
  const std::string strategy = args.text("strategy", "", dynamic ? "token" : "tensor");
  if (strategy != (dynamic ? "token" : "tensor")) refuse_value(config, "strategy", strategy);
  if (dynamic && !args.flag("symmetric", true)) refuse_value(config, "symmetric", "false, dynamic");
  return dynamic ? quant::Activations::dynamic_token : quant::Activations::static_tensor;
}

CtConfigGroup read_group(const QuantConfig& config, const QuantConfig& entry) {
  CtConfigGroup group;
  const io::Json& json = entry.json();
  if (!is_absent(json, "format")) check_format(config, entry.text("format", "", ""));
  if (!is_absent(json, "targets")) {
    if (!json["targets"].is_array()) config.refuse("\"targets\" is no list", "");
    for (const io::Json& target : json["targets"]) {
      if (!target.is_string()) config.refuse("\"targets\" holds something else than names", "");
      group.targets.push_back(target.get<std::string>());
    }
  }
  read_weights(config, part(config, json, "weights"), group);
  if (is_absent(json, "input_activations")) return group;
  group.activations = read_activations(config, part(config, json, "input_activations"));
  return group;
}

}  // namespace

bool is_ct_packed(const quant::Scheme& scheme) noexcept {
  return scheme.activations == quant::Activations::none;
}

io::Json ct_config(const OutputPlan& plan) {
  const std::vector<Kind> kinds = kinds_of(plan);
  io::Json groups = io::Json::object();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const io::Json targets =
        kinds.size() == 1 ? io::Json::array({"Linear"}) : io::Json(kinds[i].names);
    groups[fmt::format("group_{}", i)] = {{"targets", targets},
                                          {"weights", weight_args(kinds[i])},
                                          {"input_activations", input_args(kinds[i])},
                                          {"output_activations", nullptr}};
  }
  const bool packed = kinds.empty() || is_ct_packed(kinds.front().scheme);
  return {{"quant_method", "compressed-tensors"},
          {"format", packed ? "pack-quantized" : "int-quantized"},
          {"quantization_status", "compressed"},
          {"config_groups", std::move(groups)},
          {"ignore", float_linears(plan)},
          {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr}};
}

CtConfig read_ct_config(const QuantConfig& config) {
  const io::Json& json = config.json();
  check_format(config, config.text("format", "", "mixed-precision"));
  if (!is_absent(json, "sparsity_config")) {
    const QuantConfig sparsity = part(config, json, "sparsity_config");
    const std::string format = sparsity.text("format", "", "dense");
    if (format != "dense") refuse_value(config, "sparsity_config", format);
  }
  CtConfig read;
  const QuantConfig groups = part(config, json, "config_groups");
  for (const auto& [name, entry] : groups.json().items()) {
    if (!entry.is_object()) config.refuse(fmt::format("\"{}\" is no object", name), "");
    read.groups.push_back(read_group(config, {entry, config.file()}));
  }
  if (read.groups.empty()) config.refuse("\"config_groups\" is empty", "");
  if (is_absent(json, "ignore")) return read;
  if (!json["ignore"].is_array()) config.refuse("\"ignore\" is no list", "");
  for (const io::Json& name : json["ignore"]) {
    if (!name.is_string()) config.refuse("\"ignore\" holds something else than names", "");
    read.ignored.push_back(name.get<std::string>());
  }
  return read;
}

}  // namespace pare::layout
