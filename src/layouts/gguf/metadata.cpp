#include "layouts/gguf/metadata.h"

#include "layouts/gguf/model_name.h"
#include "model/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace pare::layout {
namespace {

using containers::GgufMetadata;
using containers::GgufType;

/// llama.cpp's number for what most of a file holds.
std::int64_t file_type_of(GgufType type) noexcept {
  if (type == GgufType::q4_0) return 2;
  return type == GgufType::q4_1 ? 3 : 7;
}

std::int64_t file_type(const OutputPlan& plan) {
  std::map<std::int64_t, std::int64_t> counts;
  for (const OutputEntry& entry : plan.entries) {
    if (entry.linear.has_value()) ++counts[file_type_of(gguf_type_of(entry.linear->scheme))];
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? 1 : most->first;
}

void add_rotary(const GgufModel& model, const std::string& arch, GgufMetadata& metadata) {
  const model::RopeConfig& rope = model.graph().config.rope;
  metadata.add_u32(arch + ".rope.dimension_count", model.graph().config.attention.head_dim);
  metadata.add_f32(arch + ".rope.freq_base", static_cast<float>(rope.theta));
  if (rope.scaling != model::RopeScaling::linear) return;
  metadata.add_text(arch + ".rope.scaling.type", "linear");
  metadata.add_f32(arch + ".rope.scaling.factor", static_cast<float>(rope.factor));
}

void add_sizes(const GgufModel& model, const std::string& arch, GgufMetadata& metadata) {
  const model::ModelConfig& config = model.graph().config;
  const model::AttentionConfig& attention = config.attention;
  metadata.add_u32(arch + ".vocab_size", config.vocab_size);
  metadata.add_u32(arch + ".context_length", config.max_positions);
  metadata.add_u32(arch + ".embedding_length", config.hidden_size);
  metadata.add_u32(arch + ".block_count", config.layers);
  metadata.add_u32(arch + ".feed_forward_length", config.intermediate_size);
  metadata.add_u32(arch + ".attention.head_count", attention.heads);
  metadata.add_u32(arch + ".attention.head_count_kv", attention.kv_heads);
  metadata.add_u32(arch + ".attention.key_length", attention.head_dim);
  metadata.add_u32(arch + ".attention.value_length", attention.head_dim);
  metadata.add_f32(arch + ".attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  const auto widest = std::max_element(config.windows.begin(), config.windows.end());
  if (widest == config.windows.end() || *widest == 0) return;
  metadata.add_u32(arch + ".attention.sliding_window", *widest);
}

std::int64_t shared_columns(const quant::Scheme& scheme) noexcept {
  return scheme.granularity == quant::Granularity::group ? scheme.group_size : 0;
}

/// One key for all linears, and one for each that differs from the first.
void add_groups(const OutputPlan& plan, const GgufModel& model, GgufMetadata& metadata) {
  std::optional<std::int64_t> common;
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) continue;
    const std::int64_t columns = shared_columns(entry.linear->scheme);
    if (!common.has_value()) metadata.add_u32(kGroupSizeKey, columns);
    common = common.value_or(columns);
    if (columns == *common) continue;
    metadata.add_u32(group_size_key(model.gguf_name(entry.linear->name + ".weight")), columns);
  }
}

}  // namespace

std::string group_size_key(std::string_view gguf_tensor) {
  return fmt::format("{}.{}", kGroupSizeKey, gguf_tensor);
}

GgufType gguf_type_of(const quant::Scheme& scheme) noexcept {
  if (scheme.weight_bits == 8) return GgufType::q8_0;
  return scheme.symmetric ? GgufType::q4_0 : GgufType::q4_1;
}

void add_model_keys(const OutputPlan& plan, const GgufModel& model, GgufMetadata& metadata) {
  const std::string arch(model.traits().architecture);
  metadata.add_text("general.architecture", arch);
  metadata.add_text("general.type", "model");
  const std::string name = name_of_model(plan.source);
  metadata.add_text("general.name", name.empty() ? model.graph().config.class_name : name);
  metadata.add_u32("general.quantization_version", 2);
  metadata.add_u32("general.file_type", file_type(plan));
  add_sizes(model, arch, metadata);
  add_rotary(model, arch, metadata);
  add_groups(plan, model, metadata);
}

std::vector<float> rotary_factors(const GgufModel& model) {
  const model::ModelConfig& config = model.graph().config;
  if (config.rope.scaling != model::RopeScaling::llama3) return {};
  model::RopeConfig plain = config.rope;
  plain.scaling = model::RopeScaling::none;
  const auto frequencies = [&](const model::RopeConfig& rope) {
    return model::rope_inverse_frequencies(rope, config.attention.head_dim, config.max_positions,
                                           config.max_positions);
  };
  std::vector<float> factors = frequencies(plain);
  const std::vector<float> scaled = frequencies(config.rope);
  for (std::size_t i = 0; i < factors.size(); ++i)
    factors[i] /= scaled[i];
  return factors;
}

std::vector<std::string> model_notes(const GgufModel& model) {
  const model::ModelConfig& config = model.graph().config;
  std::vector<std::string> notes;
  const auto widest = std::max_element(config.windows.begin(), config.windows.end());
  if (widest != config.windows.end() && *widest > 0 && *widest < config.max_positions) {
    notes.push_back(fmt::format(
        "llama.cpp attends to everything before a token, this model to the last {}: results differ "
        "in longer texts",
        *widest));
  }
  if (config.rope.scaling == model::RopeScaling::dynamic) {
    notes.push_back(fmt::format(
        "llama.cpp knows no dynamic rotary scaling: results differ in texts of more than {} tokens",
        config.max_positions));
  }
  return notes;
}

}  // namespace pare::layout
