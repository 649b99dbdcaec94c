#include "layouts/hf/writer.h"

#include "core/error.h"
#include "layouts/output_checklist.h"
#include "containers/safetensors/writer.h"
#include "io/file.h"
#include "kernels/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

/// Only the owner reads and writes: the user decides who else may.
constexpr unsigned kMode = 0600;
/// What hubs and loaders are used to.
constexpr std::size_t kUsualShard = 5'000'000'000;

[[noreturn]] void refuse(const std::string& detail) { throw Error(ErrorCode::internal, detail); }

DType stored_dtype(DType dtype, const HfLayout& layout) noexcept {
  return is_weight_float(dtype) ? layout.float_dtype.value_or(dtype) : dtype;
}

containers::SafetensorsLayout files_of(const std::vector<containers::TensorInfo>& tensors,
                                    const fs::path& folder, const ParamMap& params) {
  containers::SafetensorsLayout files;
  files.folder = folder;
  files.base_name = "model";
  files.file_mode = kMode;
  files.index_mode = kMode;
  std::size_t limit = kUsualShard;
  if (const double gib = params.number("part_file_size"); gib > 0) {
    limit = std::max<std::size_t>(1, static_cast<std::size_t>(std::ldexp(gib, 30)));
  }
  std::size_t total = 0;
  for (const containers::TensorInfo& info : tensors)
    total += info.nbytes();
  // An index beside a single file would only be one more thing to go stale.
  if (total > limit) files.max_shard_bytes = limit;
  return files;
}

void check_against_plan(const quant::QuantizedLinear& q, const LinearPlan& linear, Grids grids) {
  const auto expect = [&](bool same, std::string_view what) {
    if (!same) refuse(fmt::format("{}: {} differs from the plan", q.name, what));
  };
  const bool one_scale = q.scheme.granularity == quant::Granularity::tensor;
  const std::int64_t scales = one_scale ? 1 : linear.out * linear.scheme.groups(linear.in);
  const bool fixed = q.scheme.activations == quant::Activations::static_tensor;
  const auto columns = static_cast<std::size_t>(linear.act_order ? linear.in : 0);
  expect(q.codes.size() == static_cast<std::size_t>(q.out * q.in), "number of codes");
  expect(q.scales.size() == static_cast<std::size_t>(scales), "number of scales");
  expect(q.zeros.size() == q.scales.size(), "number of zeros");
  expect(grids == Grids::all || (q.row_scales.empty() && q.power == 1), "grid");
  expect(q.group_index.size() == columns, "order of the columns");
  expect(q.bias.has_value() == linear.bias_dtype.has_value(), "presence of a bias");
  expect(!q.bias.has_value() || q.bias->shape() == Shape{q.out}, "shape of the bias");
  expect(q.input.has_value() == fixed, "presence of activation parameters");
}

class HfWriter final : public Writer {
 public:
  HfWriter(const OutputPlan& plan, const HfLayout& layout, const fs::path& folder,
           const std::vector<containers::TensorInfo>& tensors, const ParamMap& params,
           std::vector<HfTextFile> texts)
      : layout_(layout),
        folder_(folder),
        texts_(std::move(texts)),
        writer_(files_of(tensors, folder, params), tensors),
        items_(plan) {}

  bool concurrent() const noexcept override { return true; }

  void put_tensor(const std::string& name, const TensorView& tensor) override {
    items_.take_tensor(name, tensor);
    put_floats(name, tensor);
  }

  void put_linear(const quant::QuantizedLinear& q) override {
    const LinearPlan& planned = items_.take_linear(q);
    check_against_plan(q, planned, layout_.grids);
    try {
      layout_.emit(q, planned, [this](const std::string& name, const TensorView& value) {
        writer_.write(name, value);
      });
    } catch (Error& error) {
      error.at(q.name);
      throw;
    }
    if (q.bias.has_value()) put_floats(q.name + ".bias", q.bias->view());
  }

  std::vector<std::string> finish() override {
    std::vector<std::string> files = writer_.finish();
    for (const HfTextFile& file : texts_) {
      io::write_text(folder_ / file.name, file.text, kMode);
      files.push_back(file.name);
    }
    return files;
  }

 private:
  /// Bytes as they are, or converted piece by piece: embeddings are large.
  void put_floats(const std::string& name, const TensorView& tensor) {
    const DType stored = stored_dtype(tensor.dtype, layout_);
    if (stored == tensor.dtype) return writer_.write(name, tensor);
    constexpr std::int64_t kPiece = std::int64_t{1} << 20;
    const std::int64_t count = tensor.numel();
    std::vector<float> values;
    for (std::int64_t first = 0; first < count; first += kPiece) {
      const std::int64_t size = std::min(kPiece, count - first);
      values.resize(static_cast<std::size_t>(size));
      const std::size_t at = static_cast<std::size_t>(first) * size_of(tensor.dtype);
      kernels::widen_row(tensor.dtype, tensor.data.data() + at, size, values.data());
      const Tensor piece = store_piece(name, values, stored);
      writer_.write_bytes(name, static_cast<std::size_t>(first) * size_of(stored),
                          piece.view().data);
    }
  }

  static Tensor store_piece(const std::string& name, const std::vector<float>& values,
                            DType stored) {
    const auto count = static_cast<std::int64_t>(values.size());
    try {
      Tensor piece(stored, {count});
      const bool done = stored == DType::f16 &&
                        kernels::narrow_row_f16(values.data(), count, piece.bytes().data());
      return done ? std::move(piece) : store_floats(values, stored, {count});
    } catch (Error& error) {
      throw Error(error.code(), error.detail())
          .at(name)
          .hint("this format holds float tensors in F16; compressed-tensors keeps their type");
    }
  }

  HfLayout layout_;
  fs::path folder_;
  std::vector<HfTextFile> texts_;
  containers::SafetensorsWriter writer_;
  OutputChecklist items_;
};

}  // namespace

std::vector<containers::TensorInfo> declare_hf(const OutputPlan& plan, const HfLayout& layout) {
  std::vector<containers::TensorInfo> tensors;
  for (const Item& item : plan.items) {
    if (!item.linear.has_value()) {
      tensors.push_back(item.tensor);
      tensors.back().dtype = stored_dtype(item.tensor.dtype, layout);
      continue;
    }
    const LinearPlan& linear = *item.linear;
    for (containers::TensorInfo& info : layout.declare(linear))
      tensors.push_back(std::move(info));
    if (!linear.bias_dtype.has_value()) continue;
    tensors.push_back(
        {linear.name + ".bias", stored_dtype(*linear.bias_dtype, layout), {linear.out}});
  }
  return tensors;
}

std::string refuse_hf_plan(const OutputPlan& plan, const HfLayout& layout) {
  for (const Item& item : plan.items) {
    if (layout.grids == Grids::all || !item.linear.has_value() || !item.linear->has_exponent) continue;
    return fmt::format(
        "{}: the format has no place for the power its codes are linear in; choose --format "
        "ascend, or leave out --nonuniform",
        item.linear->name);
  }
  const std::vector<containers::TensorInfo> tensors = declare_hf(plan, layout);
  std::set<std::string_view> seen;
  for (const containers::TensorInfo& info : tensors) {
    if (seen.insert(info.name).second) continue;
    return fmt::format("two tensors would be called \"{}\"", info.name);
  }
  return "";
}

std::unique_ptr<Writer> make_hf_writer(const OutputPlan& plan, const HfLayout& layout,
                                             const fs::path& folder, const ParamMap& params,
                                             std::vector<HfTextFile> texts) {
  return std::make_unique<HfWriter>(plan, layout, folder, declare_hf(plan, layout), params,
                                    std::move(texts));
}

}  // namespace pare::layout
