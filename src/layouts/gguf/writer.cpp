#include "layouts/gguf/writer.h"

#include "containers/gguf/writer.h"
#include "layouts/gguf/blocks.h"
#include "layouts/gguf/metadata.h"
#include "layouts/gguf/tokenizer.h"
#include "layouts/tensor_pieces.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

using containers::GgufDeclared;
using containers::GgufType;

constexpr const char* kFile = "model.gguf";
/// Only the owner reads and writes: the user decides who else may.
constexpr unsigned kMode = 0600;

GgufType gguf_type_of(DType dtype) noexcept {
  if (dtype == DType::f16) return GgufType::f16;
  return dtype == DType::bf16 ? GgufType::bf16 : GgufType::f32;
}

/// Every tensor of the file, in the order of the plan.
std::vector<GgufDeclared> declared_tensors(const OutputPlan& plan, const GgufModel& model,
                                           const ParamMap& params) {
  std::vector<GgufDeclared> tensors;
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) {
      tensors.push_back({model.gguf_name(entry.tensor.name),
                         gguf_type_of(gguf_float_dtype(entry.tensor, params)), entry.tensor.shape});
      continue;
    }
    const quant::LinearHeader& linear = *entry.linear;
    tensors.push_back({model.gguf_name(linear.name + ".weight"),
                       layout::gguf_type_of(linear.scheme),
                       {linear.out, linear.in}});
    if (!linear.bias_dtype.has_value()) continue;
    tensors.push_back({model.gguf_name(linear.name + ".bias"), GgufType::f32, {linear.out}});
  }
  const auto factors = static_cast<std::int64_t>(rotary_factors(model).size());
  if (factors > 0) tensors.push_back({std::string(kRotaryFactors), GgufType::f32, {factors}});
  return tensors;
}

std::int64_t embedding_rows(const OutputPlan& plan, const GgufModel& model) {
  for (const OutputEntry& entry : plan.entries) {
    const bool found =
        !entry.linear.has_value() &&
        entry.tensor.name == model.graph().module(model::Role::embedding).weight_name();
    if (found && entry.tensor.shape.rank() == 2) return entry.tensor.shape[0];
  }
  return model.graph().config.vocab_size;
}

containers::GgufMetadata metadata_of(const OutputPlan& plan, const GgufModel& model) {
  containers::GgufMetadata metadata;
  add_model_keys(plan, model, metadata);
  add_tokenizer_keys(plan.source, embedding_rows(plan, model), metadata);
  return metadata;
}

class GgufModelWriter final : public Writer {
 public:
  GgufModelWriter(const OutputPlan& plan, GgufModel model, const fs::path& folder,
                  const ParamMap& params)
      : model_(std::move(model)),
        params_(params),
        writer_(folder / kFile, metadata_of(plan, model_), declared_tensors(plan, model_, params)) {
    const std::vector<float> factors = rotary_factors(model_);
    if (factors.empty()) return;
    writer_.write(std::string(kRotaryFactors), 0, std::as_bytes(std::span(factors)));
  }

  bool concurrent() const noexcept override { return true; }

  void put_tensor(const std::string& name, const TensorView& tensor,
                  const GiveBack& give_back) override {
    const DType stored = gguf_float_dtype({name, tensor.dtype, tensor.shape}, params_);
    put_floats(name, tensor, stored, give_back);
  }

  void put_linear(const quant::QuantizedLinear& q) override {
    put_blocks(q, static_cast<std::size_t>(gguf_linear_info(q).shape[1]));
    if (q.bias.has_value()) put_floats(q.name + ".bias", q.bias->view(), DType::f32, [] {});
  }

  std::vector<std::string> finish() override {
    writer_.finish(kMode);
    return {kFile};
  }

 private:
  /// Rows of a head that are reordered in the file, 0 = none.
  std::int64_t head_size(const std::string& tensor, std::int64_t rows) const {
    const std::int64_t heads = model_.find_of_tensor(tensor)->rotary_heads;
    return heads == 0 ? 0 : rows / heads;
  }

  void put_blocks(const quant::QuantizedLinear& q, std::size_t row_bytes) {
    const std::string name = q.name + ".weight";
    const GgufType type = layout::gguf_type_of(q.scheme);
    const std::int64_t head = head_size(name, q.out);
    const std::string stored = model_.gguf_name(name);
    std::vector<std::byte> blocks;
    constexpr std::int64_t kRows = 256;
    for (std::int64_t first = 0; first < q.out; first += kRows) {
      const std::int64_t count = std::min(kRows, q.out - first);
      blocks.resize(static_cast<std::size_t>(count) * row_bytes);
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = head == 0 ? first + i : rotary_source_row(first + i, head);
        encode_row(q, row, type,
                   std::span(blocks).subspan(static_cast<std::size_t>(i) * row_bytes, row_bytes));
      }
      writer_.write(stored, static_cast<std::size_t>(first) * row_bytes, blocks);
    }
  }

  /// Converted and reordered piece by piece: embeddings are large.
  void put_floats(const std::string& name, const TensorView& tensor, DType dtype,
                  const GiveBack& give_back) {
    const std::int64_t rows = tensor.shape[0];
    const std::int64_t columns = tensor.numel() / rows;
    const std::int64_t head = head_size(name, rows);
    const std::string stored = model_.gguf_name(name);
    if (head == 0 && dtype == tensor.dtype) return copy(stored, tensor, give_back);
    const std::int64_t step =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(kPieceElements) / columns);
    std::vector<float> values;
    for (std::int64_t first = 0; first < rows; first += step) {
      const std::int64_t count = std::min(step, rows - first);
      values.resize(static_cast<std::size_t>(count * columns));
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = head == 0 ? first + i : rotary_source_row(first + i, head);
        read_floats(tensor, row * columns,
                    std::span(values).subspan(static_cast<std::size_t>(i * columns),
                                              static_cast<std::size_t>(columns)));
      }
      const Tensor piece = store_piece(name, values, dtype);
      writer_.write(stored, static_cast<std::size_t>(first * columns) * size_of(dtype),
                    piece.view().data);
      give_back();
    }
  }

  void copy(const std::string& stored, const TensorView& tensor, const GiveBack& give_back) {
    for_each_piece(tensor, [&](std::size_t offset, std::span<const std::byte> bytes) {
      writer_.write(stored, offset, bytes);
      give_back();
    });
  }

  static Tensor store_piece(const std::string& name, const std::vector<float>& values,
                            DType dtype) {
    try {
      return store_floats(values, dtype, {static_cast<std::int64_t>(values.size())});
    } catch (Error& error) {
      throw Error(error.code(), error.detail())
          .at(name)
          .hint("leave --float-type out, or choose one with a wider range");
    }
  }

  GgufModel model_;
  ParamMap params_;
  containers::GgufWriter writer_;
};

}  // namespace

DType gguf_float_dtype(const containers::TensorInfo& tensor, const ParamMap& params) {
  if (tensor.shape.rank() < 2) return DType::f32;
  const std::string type = params.text("float_type", "auto");
  if (type == "f16") return DType::f16;
  if (type == "bf16") return DType::bf16;
  return type == "f32" ? DType::f32 : tensor.dtype;
}

containers::TensorInfo gguf_linear_info(const quant::LinearHeader& linear) {
  const containers::GgufBlock& block = containers::gguf_block(layout::gguf_type_of(linear.scheme));
  return {
      linear.name + ".weight", DType::u8, {linear.out, linear.in / block.elements * block.bytes}};
}

std::unique_ptr<Writer> make_gguf_writer(const OutputPlan& plan, const GgufModel& model,
                                         const fs::path& folder, const ParamMap& params) {
  return std::make_unique<GgufModelWriter>(plan, model, folder, params);
}

}  // namespace pare::layout
