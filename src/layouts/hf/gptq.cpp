#include "layouts/hf/gptq.h"

#include "layouts/hf/config.h"
#include "layouts/hf/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNoZero =
    "gptq stores zero points less one and has no place for 0; choose --format gptq-v2, autoawq or "
    "compressed-tensors, or add --refit-zeros to quantize such groups again";

std::vector<containers::TensorInfo> declare_linear(const quant::LinearHeader& linear) {
  const int bits = linear.scheme.weight_bits;
  const std::int64_t groups = linear.scheme.groups(linear.in);
  return {{linear.name + ".qweight", DType::i32, {words_for(linear.in, bits), linear.out}},
          {linear.name + ".qzeros", DType::i32, {groups, words_for(linear.out, bits)}},
          {linear.name + ".scales", DType::f16, {groups, linear.out}},
          {linear.name + ".g_idx", DType::i32, {linear.in}}};
}

void emit(const quant::QuantizedLinear& q, GptqVersion version, const HfSink& take) {
  const int bits = q.scheme.weight_bits;
  const bool v1 = version == GptqVersion::v1;
  const std::vector<std::int8_t> zeros = zero_codes(q, v1 ? 1 : 0, v1 ? kNoZero : "");
  take(q.name + ".qweight", pack_down_columns(input_grid(q), bits).view());
  take(q.name + ".qzeros", pack_along_rows(group_grid(q, zeros), bits, WordOrder::natural).view());
  take(q.name + ".scales", scale_tensor(q, DType::f16, ScaleOrder::down_columns).view());
  take(q.name + ".g_idx", group_index_tensor(q).view());
}

void emit_v1(const quant::QuantizedLinear& q, const HfSink& take) {
  emit(q, GptqVersion::v1, take);
}

void emit_v2(const quant::QuantizedLinear& q, const HfSink& take) {
  emit(q, GptqVersion::v2, take);
}

std::string check_linear(const quant::LinearHeader& linear) {
  const std::string reason = refuse_gptq(linear.scheme);
  if (!reason.empty()) return fmt::format("{}: {}", linear.name, reason);
  const std::int64_t per_word = 32 / linear.scheme.weight_bits;
  if (linear.in % linear.scheme.group_columns(linear.in) != 0) {
    return fmt::format(
        "{} has {} inputs, which groups of {} do not divide; keep it with "
        "--disable-names, or choose another --group-size",
        linear.name, linear.in, linear.scheme.group_size);
  }
  for (const auto& [count, what] : {std::pair{linear.in, "inputs"}, {linear.out, "outputs"}}) {
    if (count % per_word == 0) continue;
    return fmt::format(
        "{} has {} {}: {} of them share a word; keep it with --disable-names, or "
        "choose --format compressed-tensors",
        linear.name, count, what, per_word);
  }
  return "";
}

bool any_act_order(const OutputPlan& plan) {
  return std::any_of(plan.entries.begin(), plan.entries.end(), [](const OutputEntry& entry) {
    return entry.linear.has_value() && entry.linear->act_order;
  });
}

/// Rules of GPTQModel for modules that stay float; the head does so by itself.
io::Json skipped_modules(const OutputPlan& plan) {
  io::Json rules = io::Json::object();
  for (const std::string& name : float_linears(plan)) {
    if (name == "lm_head") continue;
    std::string pattern;
    for (const char c : name)
      pattern += c == '.' ? "\\." : std::string(1, c);
    rules["-:^" + pattern + "$"] = io::Json::object();
  }
  return rules;
}

io::Json quantization_config(const OutputPlan& plan, GptqVersion version) {
  const quant::LinearHeader* linear = first_linear(plan);
  const quant::Scheme scheme = linear != nullptr ? linear->scheme : quant::Scheme{};
  const bool groups = scheme.granularity == quant::Granularity::group;
  io::Json config = {{"bits", scheme.weight_bits},
                     {"group_size", groups ? scheme.group_size : -1},
                     {"desc_act", any_act_order(plan)},
                     {"sym", scheme.symmetric},
                     {"static_groups", false},
                     {"true_sequential", true},
                     {"damp_percent", 0.01},
                     {"lm_head", false},
                     {"quant_method", "gptq"},
                     {"checkpoint_format", version == GptqVersion::v1 ? "gptq" : "gptq_v2"},
                     {"pack_dtype", "int32"},
                     {"model_name_or_path", nullptr},
                     {"model_file_base_name", "model"},
                     {"meta", {{"quantizer", io::Json::array({"pare:" PARE_VERSION})}}}};
  if (io::Json skipped = skipped_modules(plan); !skipped.empty()) {
    config["dynamic"] = std::move(skipped);
  }
  return config;
}

}  // namespace

std::string refuse_gptq(const quant::Scheme& scheme) {
  if (scheme.activations != quant::Activations::none || scheme.form != quant::CodeForm::uniform) {
    return "GPTQ files hold weights for float activations; choose --format compressed-tensors or "
           "ascend";
  }
  if (scheme.weight_bits != 4 && scheme.weight_bits != 8) {
    return fmt::format("Pare writes GPTQ files of 4 and 8 bits, not of {}", scheme.weight_bits);
  }
  if (scheme.granularity == quant::Granularity::tensor) {
    return "GPTQ files have scales per row at least; leave --mm-tensor out";
  }
  return "";
}

std::string check_gptq(const OutputPlan& plan) {
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) continue;
    const std::string reason = check_linear(*entry.linear);
    if (!reason.empty()) return reason;
  }
  for (const auto& refuse : {refuse_mixed, refuse_without_config}) {
    const std::string reason = refuse(plan);
    if (!reason.empty()) return reason;
  }
  return refuse_hf_plan(plan, gptq_layout(GptqVersion::v2));
}

HfLayout gptq_layout(GptqVersion version) noexcept {
  return {declare_linear, version == GptqVersion::v1 ? emit_v1 : emit_v2, DType::f16};
}

std::unique_ptr<Writer> create_gptq(const OutputPlan& plan, GptqVersion version,
                                    const fs::path& folder, const ParamMap& params) {
  const std::string text = quantization_config(plan, version).dump(2) + "\n";
  return make_hf_writer(plan, gptq_layout(version), folder, params,
                        {{"quantize_config.json", text}});
}

std::string gptq_config_patch(const OutputPlan& plan, GptqVersion version) {
  io::Json patch;
  patch_dtype(patch, plan, "float16");
  patch["quantization_config"] = quantization_config(plan, version);
  return patch.dump();
}

bool is_gptq(const fs::path& folder, GptqVersion version) noexcept {
  try {
    const auto config = find_quant_config(folder);
    if (!config.has_value() || quant_method(*config) != "gptq") return false;
    const bool v2 = checkpoint_format(*config, "gptq") == "gptq_v2";
    return v2 == (version == GptqVersion::v2);
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace pare::layout
