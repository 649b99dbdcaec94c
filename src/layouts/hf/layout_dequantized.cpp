// Plain float weights: what the codes and scales stand for, in the type of the model. For programs
// that know no quantized layout, and to check one layout against another. Activations are not
// quantized: nothing in the files says that they should be.
#include "containers/tensor_source.h"
#include "layouts/hf/writer.h"
#include "pare/error.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

std::string refuses(const quant::Scheme& /*scheme*/) { return ""; }

template <DType kType>
std::vector<containers::TensorInfo> declare_linear(const quant::LinearHeader& linear) {
  return {{linear.name + ".weight", kType, {linear.out, linear.in}}};
}

template <DType kType>
void emit_linear(const quant::QuantizedLinear& q, const HfSink& take) {
  Tensor weight(kType, {q.out, q.in});
  std::vector<float> row(static_cast<std::size_t>(q.in));
  const std::size_t row_bytes = row.size() * size_of(kType);
  const std::int64_t columns = q.scheme.group_columns(q.in);
  for (std::int64_t o = 0; o < q.out; ++o) {
    for (std::int64_t first = 0; first < q.in; first += columns) {
      quant::dequantize_columns(q, o, first, columns, row.data() + first);
    }
    const Tensor stored = store_floats(row, kType, {q.in});
    std::memcpy(weight.bytes().data() + static_cast<std::size_t>(o) * row_bytes,
                stored.view().data.data(), row_bytes);
  }
  take(q.name + ".weight", weight.view());
}

template <DType kType>
constexpr HfLayout layout_in() noexcept {
  return {declare_linear<kType>, emit_linear<kType>, std::nullopt, CodeForms::all};
}

HfLayout layout_of(const OutputPlan& plan) noexcept {
  if (plan.model_dtype == DType::bf16) return layout_in<DType::bf16>();
  return plan.model_dtype == DType::f16 ? layout_in<DType::f16>() : layout_in<DType::f32>();
}

std::string check(const OutputPlan& plan) { return refuse_hf_plan(plan, layout_of(plan)); }

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& /*params*/) {
  return declare_hf(plan, layout_of(plan));
}

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                               const ParamMap& params) {
  return make_hf_writer(plan, layout_of(plan), folder, params, {});
}

/// A float model like any other: nothing tells it apart.
bool probe(const fs::path& /*folder*/) noexcept { return false; }

class FloatCheckpoint final : public QuantizedCheckpoint {
 public:
  explicit FloatCheckpoint(const fs::path& folder) : source_(containers::open_checkpoint(folder)) {}

  std::vector<std::string> linears() const override { return {}; }
  std::shared_ptr<const containers::TensorSource> stored() const override { return source_; }

  std::vector<std::string> tensors() const override {
    std::vector<std::string> names;
    for (const containers::TensorInfo& info : source_->tensors())
      names.push_back(info.name);
    return names;
  }

  std::optional<LoadedLinear> linear(std::string_view /*module*/) const override {
    return std::nullopt;
  }

  std::optional<TensorView> tensor(std::string_view name) const override {
    if (source_->find(name) == nullptr) return std::nullopt;
    return source_->read(name);
  }

  void release(std::string_view name) const noexcept override { source_->release(name); }

 private:
  std::shared_ptr<const containers::TensorSource> source_;
};

std::unique_ptr<QuantizedCheckpoint> open(const fs::path& folder) {
  return std::make_unique<FloatCheckpoint>(folder);
}

}  // namespace

extern const Layout layout_dequantized;
constinit const Layout layout_dequantized = {
    .id = "dequantized",
    .summary = "plain float weights, as the quantized model computes with; activations stay float",
    .params = kHfParams,
    .refuses = refuses,
    .check = check,
    .declare = declare,
    .create = create,
    .config_patch = nullptr,
    .probe = probe,
    .open = open,
    .norm_bias = NormBias::none,
    .plain_floats = true,
};

}  // namespace pare::layout
