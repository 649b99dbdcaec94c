#include "layouts/gguf/checkpoint.h"

#include "layouts/gguf/blocks.h"
#include "layouts/gguf/metadata.h"
#include "layouts/gguf/source.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <set>

namespace pare::layout {
namespace {

using containers::GgufTensor;
using containers::GgufType;

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kBias = ".bias";

class GgufCheckpoint final : public QuantizedCheckpoint {
 public:
  explicit GgufCheckpoint(std::shared_ptr<const GgufSource> source) : source_(std::move(source)) {
    for (const containers::TensorInfo& info : source_->tensors()) {
      if (source_->stored(info.name)->block->dtype.has_value()) continue;
      linears_.insert(module_of_blocks(info.name));
    }
    for (const containers::TensorInfo& info : source_->tensors()) {
      const std::string module = info.name.substr(0, info.name.rfind('.'));
      if (info.name != kRotaryFactors && !linears_.contains(module)) floats_.insert(info.name);
    }
    if (!linears_.empty()) return;
    throw Error(ErrorCode::bad_description, "the GGUF file holds no quantized linears")
        .at(source_->files().front().string())
        .hint("it is a float model: quantize the safetensors it was made from");
  }

  std::vector<std::string> linears() const override { return {linears_.begin(), linears_.end()}; }
  std::vector<std::string> tensors() const override { return {floats_.begin(), floats_.end()}; }
  std::shared_ptr<const containers::TensorSource> stored() const override { return source_; }

  std::optional<LoadedLinear> linear(std::string_view module) const override {
    if (!linears_.contains(module)) return std::nullopt;
    LoadedLinear stored;
    stored.linear = empty_linear(module);
    try {
      decode(stored.linear);
    } catch (Error& error) {
      error.at(std::string(module)).at(source_->files().front().string());
      throw;
    }
    const std::string bias = std::string(module).append(kBias);
    if (source_->find(bias) != nullptr) {
      const TensorView view = float_bias(bias, stored.linear.out);
      stored.linear.bias = Tensor::from<std::byte>(view.dtype, view.shape, view.data);
      stored.effective_bias = read_floats(view);
    }
    quant::describe_parts(stored.linear);
    return stored;
  }

  quant::LinearHeader header(std::string_view module) const override {
    if (!linears_.contains(module)) return QuantizedCheckpoint::header(module);
    quant::QuantizedLinear q = empty_linear(module);
    quant::describe_parts(q);
    const std::string bias = std::string(module).append(kBias);
    if (source_->find(bias) != nullptr) q.bias_dtype = float_bias(bias, q.out).dtype;
    return q.header();
  }

  std::optional<TensorView> tensor(std::string_view name) const override {
    if (!floats_.contains(name)) return std::nullopt;
    return source_->read(name);
  }

  void release(std::string_view name) const noexcept override {
    source_->release(name);
    source_->release(std::string(name).append(kWeight));
    source_->release(std::string(name).append(kBias));
  }

 private:
  std::string module_of_blocks(const std::string& name) const {
    const GgufTensor& tensor = *source_->stored(name);
    const bool matrix = name.ends_with(kWeight) && tensor.shape.rank() == 2;
    if (matrix && tensor.name != "token_embd.weight") {
      return name.substr(0, name.size() - kWeight.size());
    }
    throw Error(
        ErrorCode::tensor_mismatch,
        fmt::format("{} is {}; Pare reads blocks of linears only", tensor.name, tensor.block->name))
        .at(source_->files().front().string())
        .hint("requantize with the embedding in F16: llama-quantize --token-embedding-type f16");
  }

  TensorView float_bias(const std::string& name, std::int64_t rows) const {
    const TensorView view = source_->read(name);
    if (is_weight_float(view.dtype) && view.shape == Shape{rows}) return view;
    throw Error(ErrorCode::tensor_mismatch,
                fmt::format("{} must hold {} floats, found {} {}", name, rows, name_of(view.dtype),
                            view.shape.text()))
        .at(source_->files().front().string());
  }

  /// Everything but codes, scales, zeros and bias: what the header says.
  quant::QuantizedLinear empty_linear(std::string_view module) const {
    const std::string name = std::string(module).append(kWeight);
    const GgufTensor& tensor = *source_->stored(name);
    quant::QuantizedLinear q;
    q.name = module;
    q.out = tensor.shape[0];
    q.in = tensor.shape[1];
    q.scale_dtype = DType::f16;
    q.scheme.weight_bits = tensor.block->type == GgufType::q8_0 ? 8 : 4;
    q.scheme.symmetric = tensor.block->type != GgufType::q4_1;
    const std::int64_t columns = shared_columns(tensor);
    if (columns == 0) return q;
    q.scheme.granularity = quant::Granularity::group;
    q.scheme.group_size = columns;
    return q;
  }

  /// As Pare's keys say, 32 where there are none; 0 = one scale for a row.
  std::int64_t shared_columns(const GgufTensor& tensor) const {
    const containers::GgufHeader& header = source_->header();
    auto columns = header.unsigned_value(group_size_key(tensor.name));
    if (!columns.has_value()) columns = header.unsigned_value(kGroupSizeKey);
    if (!columns.has_value()) return kBlockColumns;
    const auto in = static_cast<std::uint64_t>(tensor.row_elements());
    const bool fits =
        *columns == 0 || (*columns % kBlockColumns == 0 && *columns <= in && in % *columns == 0);
    if (fits) return static_cast<std::int64_t>(*columns);
    throw Error(ErrorCode::bad_description,
                fmt::format("{} is {}, which does not fit the {} inputs of {}", kGroupSizeKey,
                            *columns, in, tensor.name))
        .at(source_->files().front().string())
        .hint("the file is damaged or was changed by another program");
  }

  void decode(quant::QuantizedLinear& q) const {
    const std::string name = q.name + std::string(kWeight);
    const GgufType type = source_->stored(name)->block->type;
    source_->populate(name);
    const TensorView view = source_->read(name);
    const auto row_bytes = static_cast<std::size_t>(view.shape[1]);
    quant::allocate(q);
    const std::int64_t groups = q.scheme.groups(q.in);
    for (std::int64_t row = 0; row < q.out; ++row) {
      decode_row(view.data.subspan(static_cast<std::size_t>(row) * row_bytes, row_bytes), type,
                 q.scheme.group_columns(q.in),
                 {q.codes.data() + row * q.in, q.scales.data() + row * groups,
                  q.zeros.data() + row * groups});
    }
  }

  std::shared_ptr<const GgufSource> source_;
  std::set<std::string, std::less<>> linears_;
  std::set<std::string, std::less<>> floats_;
};

}  // namespace

std::unique_ptr<QuantizedCheckpoint> open_gguf(const std::filesystem::path& folder) {
  refuse_unreadable_gguf(folder);
  std::error_code ignored;
  if (!std::filesystem::exists(folder / "config.json", ignored)) {
    throw Error(ErrorCode::file_not_found, "no config.json beside the GGUF file")
        .at(folder.string())
        .hint("put config.json and the tokenizer files of the original model into the folder");
  }
  return std::make_unique<GgufCheckpoint>(std::make_shared<const GgufSource>(folder));
}

}  // namespace pare::layout
