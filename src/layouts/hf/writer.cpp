#include "layouts/hf/writer.h"

#include "containers/safetensors/writer.h"
#include "io/file.h"
#include "kernels/quantize.h"
#include "layouts/tensor_pieces.h"
#include "pare/error.h"

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

class HfWriter final : public Writer {
 public:
  HfWriter(const HfLayout& layout, const fs::path& folder,
           const std::vector<containers::TensorInfo>& tensors, const ParamMap& params,
           std::vector<HfTextFile> texts)
      : layout_(layout),
        folder_(folder),
        texts_(std::move(texts)),
        writer_(files_of(tensors, folder, params), tensors) {}

  bool concurrent() const noexcept override { return true; }

  void put_tensor(const std::string& name, const TensorView& tensor,
                  const GiveBack& give_back) override {
    put_floats(name, tensor, give_back);
  }

  void put_linear(const quant::QuantizedLinear& q) override {
    layout_.emit(q, [this](const std::string& name, const TensorView& value) {
      writer_.write(name, value);
    });
    if (q.bias.has_value()) put_floats(q.name + ".bias", q.bias->view(), [] {});
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
  /// Bytes as they are, or converted, piece by piece: embeddings are large.
  void put_floats(const std::string& name, const TensorView& tensor, const GiveBack& give_back) {
    const DType stored = stored_dtype(tensor.dtype, layout_);
    std::vector<float> values;
    for_each_piece(tensor, [&](std::size_t offset, std::span<const std::byte> bytes) {
      if (stored == tensor.dtype) {
        writer_.write_bytes(name, offset, bytes);
      } else {
        values.resize(bytes.size() / size_of(tensor.dtype));
        kernels::widen_row(tensor.dtype, bytes.data(), static_cast<std::int64_t>(values.size()),
                           values.data());
        const Tensor piece = store_piece(name, values, stored);
        writer_.write_bytes(name, offset / size_of(tensor.dtype) * size_of(stored),
                            piece.view().data);
      }
      give_back();
    });
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
};

}  // namespace

std::vector<containers::TensorInfo> declare_hf(const OutputPlan& plan, const HfLayout& layout) {
  std::vector<containers::TensorInfo> tensors;
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) {
      tensors.push_back(entry.tensor);
      tensors.back().dtype = stored_dtype(entry.tensor.dtype, layout);
      continue;
    }
    const quant::LinearHeader& linear = *entry.linear;
    for (containers::TensorInfo& info : layout.declare(linear))
      tensors.push_back(std::move(info));
    if (!linear.bias_dtype.has_value()) continue;
    tensors.push_back(
        {linear.name + ".bias", stored_dtype(*linear.bias_dtype, layout), {linear.out}});
  }
  return tensors;
}

std::string refuse_hf_plan(const OutputPlan& plan, const HfLayout& layout) {
  for (const OutputEntry& entry : plan.entries) {
    if (layout.forms == CodeForms::all || !entry.linear.has_value() || !entry.linear->has_exponent)
      continue;
    return fmt::format(
        "{}: the format has no place for the power its codes are linear in; choose --format "
        "ascend, or leave out --nonuniform",
        entry.linear->name);
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
  return std::make_unique<HfWriter>(layout, folder, declare_hf(plan, layout), params,
                                    std::move(texts));
}

}  // namespace pare::layout
