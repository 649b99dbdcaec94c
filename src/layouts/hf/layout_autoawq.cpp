// AutoAWQ's "gemm" layout: 4-bit codes, eight outputs to a word, weights transposed.
// Source: docs/formats/autoawq.md
#include "layouts/hf/checkpoint.h"
#include "layouts/hf/config.h"
#include "layouts/hf/values.h"
#include "layouts/hf/writer.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCodes = ".qweight";
constexpr std::string_view kZeros = ".qzeros";
constexpr std::string_view kScales = ".scales";
constexpr std::array kParts = {kCodes, kZeros, kScales};
constexpr int kBits = 4;
constexpr std::int64_t kPerWord = 8;

std::string refuses(const quant::Scheme& scheme) {
  if (scheme.activations != quant::Activations::none || scheme.form != quant::CodeForm::uniform) {
    return "AWQ files hold weights for float activations; choose --format compressed-tensors or "
           "ascend";
  }
  if (scheme.weight_bits != kBits) {
    return "AWQ files hold 4-bit codes and nothing else; choose --format gptq or "
           "compressed-tensors for 8 bits";
  }
  if (scheme.granularity != quant::Granularity::group) {
    return "AWQ kernels need groups: with one scale per row only some engines load the file; add "
           "--group-size 128, or choose --format gptq or compressed-tensors";
  }
  if (scheme.group_size == 32 || scheme.group_size == 64 || scheme.group_size == 128) return "";
  return fmt::format(
      "AWQ kernels know groups of 32, 64 and 128, not of {}; choose one of these, "
      "or --format compressed-tensors",
      scheme.group_size);
}

std::vector<containers::TensorInfo> declare_linear(const quant::LinearHeader& linear) {
  const std::int64_t groups = linear.scheme.groups(linear.in);
  const std::int64_t words = words_for(linear.out, kBits);
  const auto name = [&](std::string_view part) { return std::string(linear.name).append(part); };
  return {{name(kCodes), DType::i32, {linear.in, words}},
          {name(kZeros), DType::i32, {groups, words}},
          {name(kScales), DType::f16, {groups, linear.out}}};
}

void emit_linear(const quant::QuantizedLinear& q, const HfSink& take) {
  const std::vector<std::int8_t> zeros = zero_codes(q, 0);
  const auto pack = [](const StridedCodes<const std::int8_t>& codes) {
    return pack_along_rows(codes, kBits, WordOrder::awq);
  };
  take(std::string(q.name).append(kCodes), pack(input_grid(q)).view());
  take(std::string(q.name).append(kZeros), pack(group_grid(q, zeros)).view());
  take(std::string(q.name).append(kScales),
       scale_tensor(q, DType::f16, ScaleOrder::down_columns).view());
}

constexpr HfLayout kLayout = {declare_linear, emit_linear, DType::f16};

std::string check_linear(const quant::LinearHeader& linear) {
  const std::string reason = refuses(linear.scheme);
  if (!reason.empty()) return fmt::format("{}: {}", linear.name, reason);
  if (linear.act_order) {
    return fmt::format(
        "{}: AWQ files have no place for the order of its columns (act-order); choose --format "
        "gptq, gptq-v2 or compressed-tensors",
        linear.name);
  }
  if (linear.in % linear.scheme.group_size != 0) {
    return fmt::format(
        "{} has {} inputs, which groups of {} do not divide; keep it with "
        "--disable-names, or choose another --group-size",
        linear.name, linear.in, linear.scheme.group_size);
  }
  if (linear.out % kPerWord == 0) return "";
  return fmt::format(
      "{} has {} outputs: eight of them share a word; keep it with --disable-names, "
      "or choose --format compressed-tensors",
      linear.name, linear.out);
}

std::string check(const OutputPlan& plan) {
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) continue;
    const std::string reason = check_linear(*entry.linear);
    if (!reason.empty()) return reason;
  }
  for (const auto& refuse : {refuse_mixed, refuse_name_overlap, refuse_without_config}) {
    const std::string reason = refuse(plan);
    if (!reason.empty()) return reason;
  }
  return refuse_hf_plan(plan, kLayout);
}

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& /*params*/) {
  return declare_hf(plan, kLayout);
}

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                               const ParamMap& params) {
  return make_hf_writer(plan, kLayout, folder, params, {});
}

/// Loaders keep the head float by themselves; a list is for modules beyond it.
io::Json kept_modules(const OutputPlan& plan) {
  const std::vector<std::string> kept = float_linears(plan);
  const bool only_head = std::all_of(kept.begin(), kept.end(),
                                     [](const std::string& name) { return name == "lm_head"; });
  return only_head ? io::Json(nullptr) : io::Json(kept);
}

std::string config_patch(const OutputPlan& plan) {
  io::Json patch;
  patch_dtype(patch, plan, "float16");
  const quant::LinearHeader* linear = first_linear(plan);
  patch["quantization_config"] = {
      {"quant_method", "awq"},
      {"version", "gemm"},
      {"bits", kBits},
      {"group_size", linear != nullptr ? linear->scheme.group_size : plan.group_size},
      {"zero_point", true},
      {"modules_to_not_convert", kept_modules(plan)}};
  return patch.dump();
}

class Reader final : public HfReader {
 public:
  explicit Reader(const QuantConfig& config)
      : group_size_(config.integer("group_size", "q_group_size", 0)) {}

  std::string_view linear_of(const containers::TensorInfo& tensor) const override {
    const std::string_view name = tensor.name;
    return name.ends_with(kCodes) ? name.substr(0, name.size() - kCodes.size()) : "";
  }

  std::span<const std::string_view> parts() const override { return kParts; }

  quant::QuantizedLinear read(const LinearParts& module, Codes codes) const override {
    const Shape& weight = module.expect(kCodes, DType::i32, 2).shape;
    const containers::TensorInfo& scales = module.expect_floats(kScales, 2);
    const std::int64_t groups = scales.shape[0];
    quant::QuantizedLinear q;
    q.in = weight[0];
    q.out = scales.shape[1];
    if (q.out % kPerWord != 0 || weight[1] != q.out / kPerWord || q.in % groups != 0) {
      module.mismatch(kScales,
                      fmt::format("[G, {}] with G dividing {}", weight[1] * kPerWord, q.in));
    }
    read_granularity(module, groups, q);
    q.scale_dtype = scales.dtype;
    q.scales = by_rows(module.floats(kScales, scales.shape), groups, q.out);
    read_zeros(module, groups, q);
    if (codes == Codes::leave_out) return q;
    const TensorView words = module.read(kCodes, DType::i32, weight);
    unpack_along_rows(words.data, kBits, WordOrder::awq, input_grid(q));
    return q;
  }

  std::vector<std::string> notes(const LinearParts& /*first*/) const override { return {}; }

 private:
  void read_granularity(const LinearParts& module, std::int64_t groups,
                        quant::QuantizedLinear& q) const {
    q.scheme.weight_bits = kBits;
    const std::int64_t columns = q.in / groups;
    if (group_size_ > 0 && group_size_ != columns) {
      module.contradiction(
          fmt::format("group_size is {}, but {} scales per row for {} inputs mean "
                      "groups of {}",
                      group_size_, groups, q.in, columns));
    }
    if (groups == 1 && group_size_ == -1) return;
    q.scheme.granularity = quant::Granularity::group;
    q.scheme.group_size = columns;
  }

  static void read_zeros(const LinearParts& module, std::int64_t groups,
                         quant::QuantizedLinear& q) {
    const TensorView words = module.read(kZeros, DType::i32, {groups, q.out / kPerWord});
    std::vector<std::int8_t> zeros(q.scales.size());
    unpack_along_rows(words.data, kBits, WordOrder::awq, {zeros.data(), groups, q.out, 1, groups});
    q.zeros.assign(zeros.begin(), zeros.end());
    q.scheme.symmetric =
        std::all_of(q.zeros.begin(), q.zeros.end(), [](float z) { return z == 0; });
  }

  std::int64_t group_size_;
};

bool probe(const fs::path& folder) noexcept {
  try {
    const auto config = find_quant_config(folder);
    return config.has_value() && quant_method(*config) == "awq";
  } catch (const std::exception&) {
    return false;
  }
}

std::unique_ptr<QuantizedCheckpoint> open(const fs::path& folder) {
  const QuantConfig config = read_quant_config(folder);
  const std::string version = checkpoint_format(config, "gemm");
  if (quant_method(config) != "awq") config.refuse("\"quant_method\" is not \"awq\"", "");
  if (version != "gemm") {
    config.refuse_feature(fmt::format("AWQ version \"{}\"", version),
                          "Pare reads \"gemm\"; convert the model with the program that wrote it");
  }
  const std::int64_t bits = config.integer("bits", "w_bit", kBits);
  if (bits != kBits) {
    config.refuse_feature(fmt::format("AWQ with {} bits", bits),
                          "the layout is defined for 4 bits only");
  }
  return make_hf_checkpoint(containers::open_checkpoint(folder), std::make_unique<Reader>(config));
}

}  // namespace

extern const Layout layout_autoawq;
constinit const Layout layout_autoawq = {
    .id = "autoawq",
    .summary = "4-bit groups as AutoAWQ's gemm files hold them, for vLLM, transformers, AutoAWQ",
    .params = kHfParams,
    .refuses = refuses,
    .check = check,
    .declare = declare,
    .create = create,
    .config_patch = config_patch,
    .probe = probe,
    .open = open,
    .norm_bias = NormBias::none,
    .scale_dtype = DType::f16,
    .float_dtype = DType::f16,
    .ms_to_vllm_tool = "awq",
};

}  // namespace pare::layout
