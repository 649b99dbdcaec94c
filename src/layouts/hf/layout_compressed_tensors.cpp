// compressed-tensors: weight-only linears with packed codes ("pack-quantized"), linears with 8-bit
// activations with plain ones ("int-quantized"). Source: docs/formats/compressed-tensors.md
#include "layouts/hf/ct.h"
#include "layouts/hf/values.h"
#include "layouts/hf/writer.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

std::string part_name(std::string_view module, std::string_view part) {
  return std::string(module).append(part);
}

std::string refuse_packed(const quant::Scheme& scheme) {
  if (scheme.granularity == quant::Granularity::tensor) {
    return "engines read packed weights with scales per row or group; leave --mm-tensor out";
  }
  if (scheme.weight_bits == 4 || scheme.weight_bits == 8) return "";
  return fmt::format("packed weights have 4 or 8 bits, not {}", scheme.weight_bits);
}

std::string refuses(const quant::Scheme& scheme) {
  if (scheme.form == quant::CodeForm::two_stage) {
    return "the format has no place for a second stage of scales; choose --format ascend or "
           "ascend-v1";
  }
  if (is_ct_packed(scheme)) return refuse_packed(scheme);
  if (!scheme.symmetric) {
    return "with 8-bit activations engines multiply bare codes: weights must be symmetric";
  }
  if (scheme.granularity == quant::Granularity::group) {
    return "with 8-bit activations engines scale whole rows: weights cannot have groups";
  }
  if (scheme.weight_bits != 8) return "with 8-bit activations weights have 8 bits";
  return "";
}

std::vector<containers::TensorInfo> declare_packed(const quant::LinearHeader& linear) {
  const auto name = [&](std::string_view part) { return part_name(linear.name, part); };
  const int bits = linear.scheme.weight_bits;
  const std::int64_t groups = linear.scheme.groups(linear.in);
  std::vector<containers::TensorInfo> tensors = {
      {name(kCtPacked), DType::i32, {linear.out, words_for(linear.in, bits)}},
      {name(kCtScale), linear.scale_dtype, {linear.out, groups}},
      {name(kCtShape), DType::i64, {2}}};
  // Engines have no place for zeros of symmetric weights, and fail over them.
  if (!linear.scheme.symmetric) {
    tensors.push_back({name(kCtZero), DType::i32, {words_for(linear.out, bits), groups}});
  }
  if (linear.act_order) tensors.push_back({name(kCtGroups), DType::i32, {linear.in}});
  return tensors;
}

std::vector<containers::TensorInfo> declare_plain(const quant::LinearHeader& linear) {
  const auto name = [&](std::string_view part) { return part_name(linear.name, part); };
  const bool one_scale = linear.scheme.granularity == quant::Granularity::tensor;
  std::vector<containers::TensorInfo> tensors = {
      {name(kCtWeight), DType::i8, {linear.out, linear.in}},
      {name(kCtScale), linear.scale_dtype, one_scale ? Shape{1} : Shape{linear.out, 1}}};
  if (linear.scheme.activations != quant::Activations::static_tensor) return tensors;
  tensors.push_back({name(kCtInputScale), DType::f32, {1}});
  if (!linear.symmetric_input) tensors.push_back({name(kCtInputZero), DType::i8, {1}});
  return tensors;
}

std::vector<containers::TensorInfo> declare_linear(const quant::LinearHeader& linear) {
  return is_ct_packed(linear.scheme) ? declare_packed(linear) : declare_plain(linear);
}

void emit_packed(const quant::QuantizedLinear& q, const HfSink& take) {
  const int bits = q.scheme.weight_bits;
  const std::int64_t groups = q.scheme.groups(q.in);
  const StridedCodes<const std::int8_t> codes = {q.codes.data(), q.out, q.in, q.in, 1};
  take(part_name(q.name, kCtPacked), pack_along_rows(codes, bits, WordOrder::natural).view());
  take(part_name(q.name, kCtScale), scale_tensor(q, q.scale_dtype, ScaleOrder::along_rows).view());
  const std::array<std::int64_t, 2> shape = {q.out, q.in};
  take(part_name(q.name, kCtShape), Tensor::from<std::int64_t>(DType::i64, {2}, shape).view());
  const std::vector<std::int8_t> zeros = zero_codes(q, 0);
  if (!q.scheme.symmetric) {
    const StridedCodes<const std::int8_t> grid = {zeros.data(), q.out, groups, groups, 1};
    take(part_name(q.name, kCtZero), pack_down_columns(grid, bits).view());
  }
  if (q.act_order) take(part_name(q.name, kCtGroups), group_index_tensor(q).view());
}

/// A whole number of int8. Errors: scheme_not_supported.
std::int8_t input_zero(const quant::ActivationParams& input, bool symmetric) {
  const float zero = input.zero_point;
  const bool whole =
      zero >= -128 && zero <= 127 && static_cast<float>(static_cast<int>(zero)) == zero;
  if (whole && (!symmetric || zero == 0)) return static_cast<std::int8_t>(zero);
  throw Error(ErrorCode::scheme_not_supported,
              fmt::format("input zero point {} has no place", zero))
      .hint("it must be a whole number in -128..127, and 0 for symmetric activations");
}

void emit_plain(const quant::QuantizedLinear& q, const HfSink& take) {
  const std::span<const std::int8_t> codes(q.codes);
  take(part_name(q.name, kCtWeight), {DType::i8, {q.out, q.in}, std::as_bytes(codes)});
  if (q.scheme.granularity == quant::Granularity::tensor) {
    take(part_name(q.name, kCtScale), store_floats(q.scales, q.scale_dtype, {1}).view());
  } else {
    take(part_name(q.name, kCtScale),
         scale_tensor(q, q.scale_dtype, ScaleOrder::along_rows).view());
  }
  if (!q.input.has_value()) return;
  const std::int8_t zero = input_zero(*q.input, q.symmetric_input);
  const std::array scale = {q.input->scale};
  take(part_name(q.name, kCtInputScale), Tensor::from<float>(DType::f32, {1}, scale).view());
  if (q.symmetric_input) return;
  const std::array zeros = {zero};
  take(part_name(q.name, kCtInputZero), Tensor::from<std::int8_t>(DType::i8, {1}, zeros).view());
}

void emit_linear(const quant::QuantizedLinear& q, const HfSink& take) {
  if (is_ct_packed(q.scheme)) return emit_packed(q, take);
  emit_plain(q, take);
}

constexpr HfLayout kLayout = {declare_linear, emit_linear, std::nullopt};

std::string check_linear(const quant::LinearHeader& linear) {
  const std::string reason = refuses(linear.scheme);
  if (!reason.empty()) return fmt::format("{}: {}", linear.name, reason);
  if (linear.in % linear.scheme.group_columns(linear.in) != 0) {
    return fmt::format(
        "{} has {} inputs, which groups of {} do not divide; keep it with "
        "--disable-names, or choose another --group-size",
        linear.name, linear.in, linear.scheme.group_size);
  }
  if (!linear.act_order || linear.scheme.granularity == quant::Granularity::group) return "";
  return fmt::format("{}: an order of columns (act-order) means nothing without groups",
                     linear.name);
}

std::string check(const OutputPlan& plan) {
  const quant::LinearHeader* first = first_linear(plan);
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) continue;
    const std::string reason = check_linear(*entry.linear);
    if (!reason.empty()) return reason;
    if (is_ct_packed(entry.linear->scheme) == is_ct_packed(first->scheme)) continue;
    return fmt::format(
        "{} and {} need files of two formats; readers of older engines know one "
        "format per model",
        first->name, entry.linear->name);
  }
  const std::string reason = refuse_without_config(plan);
  return reason.empty() ? refuse_hf_plan(plan, kLayout) : reason;
}

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& /*params*/) {
  return declare_hf(plan, kLayout);
}

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                               const ParamMap& params) {
  return make_hf_writer(plan, kLayout, folder, params, {});
}

std::string config_patch(const OutputPlan& plan) {
  return io::Json{{"quantization_config", ct_config(plan)}}.dump();
}

bool probe(const fs::path& folder) noexcept {
  try {
    const auto config = find_quant_config(folder);
    return config.has_value() && quant_method(*config) == "compressed-tensors";
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

extern const Layout layout_compressed_tensors;
constinit const Layout layout_compressed_tensors = {
    .id = "compressed-tensors",
    .summary =
        "packed weights, or int8 weights and activations, as vLLM and transformers load them",
    .params = kHfParams,
    .refuses = refuses,
    .check = check,
    .declare = declare,
    .create = create,
    .config_patch = config_patch,
    .probe = probe,
    .open = open_ct,
    .norm_bias = NormBias::none,
};

}  // namespace pare::layout
