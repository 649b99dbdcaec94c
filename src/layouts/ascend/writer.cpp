#include "layouts/ascend/writer.h"

#include "io/file.h"
#include "layouts/ascend/math/scale_bias.h"
#include "pare/error.h"
#include "quant/named_schemes.h"

#include <fmt/format.h>

#include <set>
#include <utility>

namespace pare::layout {
namespace {

class PlannedWriter final : public Writer {
 public:
  PlannedWriter(const OutputPlan& plan, Int4 int4, std::unique_ptr<TensorSink> sink,
                DescriptionFile description)
      : model_dtype_(plan.model_dtype),
        int4_(int4),
        sink_(std::move(sink)),
        description_(std::move(description)) {}

  bool concurrent() const noexcept override { return sink_->concurrent(); }

  void put_tensor(const std::string& name, const TensorView& tensor,
                  const GiveBack& give_back) override {
    sink_->put({.info = {name, tensor.dtype, tensor.shape}, .tag = std::string(kFloatTag)}, tensor,
               give_back);
  }

  void put_linear(const quant::QuantizedLinear& linear) override {
    emit_linear(linear, model_dtype_, int4_,
                [this](const DeclaredTensor& tensor, const TensorView& value) {
                  sink_->put(tensor, value, [] {});
                });
  }

  std::vector<std::string> finish() override {
    std::vector<std::string> files = sink_->finish();
    io::write_text(description_.path, description_text(description_.content), kJsonMode);
    files.push_back(description_.path.filename().string());
    return files;
  }

 private:
  DType model_dtype_;
  Int4 int4_;
  std::unique_ptr<TensorSink> sink_;
  DescriptionFile description_;
};

std::string refuse_names(const std::vector<DeclaredTensor>& tensors) {
  std::set<std::string_view> seen;
  for (const DeclaredTensor& tensor : tensors) {
    const std::string& name = tensor.info.name;
    if (!seen.insert(name).second) return fmt::format("two tensors would be called \"{}\"", name);
    if (is_header_key(name)) {
      return fmt::format("tensor \"{}\" is called like a key of the description", name);
    }
  }
  return "";
}

std::string refuse_packing(const quant::LinearHeader& linear) {
  const Packing packing = packing_of(linear.scheme, linear.in);
  if (packing == Packing::inputs && linear.in % 2 != 0) {
    return fmt::format(
        "{} has {} inputs, an odd number: two 4-bit codes share a byte along them; "
        "keep it with --disable-names, or choose --format ascend",
        linear.name, linear.in);
  }
  if (packing == Packing::outputs && linear.out % 2 != 0) {
    return fmt::format(
        "{} has {} outputs, an odd number: two 4-bit codes share a byte along them; "
        "keep it with --disable-names, or choose --format ascend",
        linear.name, linear.out);
  }
  return "";
}

/// Runs of inputs that engines split among devices must be whole.
std::string refuse_runs(const quant::LinearHeader& linear) {
  if (linear.scheme.form != quant::CodeForm::two_stage) return "";
  const std::int64_t runs = scale_bias_runs(linear.row_parallel);
  if (linear.in % runs == 0) return "";
  return fmt::format(
      "{} has {} inputs, which {} does not divide: its scale_bias is made of that many sums; keep "
      "it with --disable-names, or choose --format ascend",
      linear.name, linear.in, runs);
}

std::string refuse_linear(const quant::LinearHeader& linear, Int4 int4) {
  const std::string reason = refuse_scheme(linear.scheme);
  if (!reason.empty()) return fmt::format("{}: {}", linear.name, reason);
  if (linear.act_order) {
    return fmt::format(
        "{}: the layout has no place for the order of its columns (act-order); choose --format "
        "gptq, gptq-v2 or compressed-tensors",
        linear.name);
  }
  if (int4 == Int4::unpaired) return "";
  const std::string odd = refuse_packing(linear);
  return odd.empty() ? refuse_runs(linear) : odd;
}

constexpr const char* kBareCodes =
    "with 8-bit activations the device multiplies bare codes: weights must be symmetric";

std::string refuse_two_stage(const quant::Scheme& scheme) {
  if (!scheme.symmetric) return kBareCodes;
  if (scheme.granularity != quant::Granularity::group || scheme.group_size < 1) {
    return "the second stage has one scale per group: add --group-size";
  }
  return "";
}

}  // namespace

std::unique_ptr<Writer> make_planned_writer(const OutputPlan& plan, Int4 int4,
                                            std::unique_ptr<TensorSink> sink,
                                            DescriptionFile description) {
  return std::make_unique<PlannedWriter>(plan, int4, std::move(sink), std::move(description));
}

std::string refuse_scheme(const quant::Scheme& scheme) {
  if (quant::scheme_tag_of(scheme).empty()) {
    return fmt::format("the description has no type for {}", scheme.text());
  }
  if (scheme.form == quant::CodeForm::two_stage) return refuse_two_stage(scheme);
  if (scheme.activations == quant::Activations::none) return "";
  if (!scheme.symmetric) return kBareCodes;
  if (scheme.granularity == quant::Granularity::group) {
    return "with 8-bit activations the device scales whole rows: weights cannot have groups";
  }
  return "";
}

std::string refuse_plan(const OutputPlan& plan, Int4 int4) {
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) continue;
    const std::string reason = refuse_linear(*entry.linear, int4);
    if (!reason.empty()) return reason;
  }
  return refuse_names(declare_items(plan, int4));
}

}  // namespace pare::layout
