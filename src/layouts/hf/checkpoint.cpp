#include "layouts/hf/checkpoint.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace pare::layout {
namespace {

constexpr const char* kDamagedFile = "the file is damaged or was made by another program";
constexpr std::string_view kBias = ".bias";

class HfCheckpoint final : public QuantizedCheckpoint {
 public:
  HfCheckpoint(std::unique_ptr<containers::TensorSource> source, std::unique_ptr<HfReader> reader)
      : source_(std::move(source)), reader_(std::move(reader)) {
    for (const containers::TensorInfo& info : source_->tensors()) {
      const std::string_view module = reader_->linear_of(info);
      if (!module.empty()) linears_.emplace(module);
    }
    if (linears_.empty()) {
      throw Error(ErrorCode::bad_description,
                  "the configuration speaks of quantized linears, the weights hold none")
          .at(source_->files().empty() ? "" : source_->files().front().string())
          .hint("the weights may be those of the float model");
    }
    for (const containers::TensorInfo& info : source_->tensors())
      sort_in(info.name);
    notes_ = reader_->notes(HfModule(*source_, *linears_.begin()));
  }

  std::vector<std::string> linears() const override { return {linears_.begin(), linears_.end()}; }
  std::vector<std::string> tensors() const override { return {floats_.begin(), floats_.end()}; }
  std::vector<std::string> notes() const override { return notes_; }
  std::shared_ptr<const containers::TensorSource> stored() const override { return source_; }

  std::optional<LoadedLinear> linear(std::string_view module) const override {
    if (linears_.find(module) == linears_.end()) return std::nullopt;
    const HfModule found(*source_, std::string(module));
    LoadedLinear stored;
    stored.linear = read(found, Codes::read);
    quant::QuantizedLinear& q = stored.linear;
    if (found.find(kBias) != nullptr) {
      const containers::TensorInfo& bias = found.expect_floats(kBias, 1);
      stored.effective_bias = found.floats(kBias, {q.out});
      q.bias = Tensor::from<std::byte>(bias.dtype, bias.shape,
                                       found.read(kBias, bias.dtype, bias.shape).data);
    }
    quant::describe_parts(q);
    return stored;
  }

  quant::LinearHeader header(std::string_view module) const override {
    if (linears_.find(module) == linears_.end()) return QuantizedCheckpoint::header(module);
    const HfModule found(*source_, std::string(module));
    quant::QuantizedLinear q = read(found, Codes::leave_out);
    quant::describe_parts(q);
    if (found.find(kBias) != nullptr) q.bias_dtype = found.expect_floats(kBias, 1).dtype;
    return q.header();
  }

  std::optional<TensorView> tensor(std::string_view name) const override {
    if (floats_.find(name) == floats_.end()) return std::nullopt;
    return source_->read(name);
  }

  void release(std::string_view name) const noexcept override {
    if (linears_.find(name) == linears_.end()) return source_->release(name);
    for (const std::string_view part : reader_->parts())
      release_part(name, part);
    release_part(name, ".weight");
    release_part(name, kBias);
  }

 private:
  quant::QuantizedLinear read(const HfModule& module, Codes codes) const {
    try {
      quant::QuantizedLinear q = reader_->read(module, codes);
      q.name = module.name();
      return q;
    } catch (Error& error) {
      error.at(module.name());
      throw;
    }
  }

  /// A part of a linear, its bias, or a float tensor.
  void sort_in(const std::string& name) {
    const std::size_t dot = name.rfind('.');
    const std::string module = dot == std::string::npos ? "" : name.substr(0, dot);
    const std::string_view suffix = std::string_view(name).substr(module.size());
    const bool of_linear = linears_.contains(module);
    const auto parts = reader_->parts();
    const bool part = std::find(parts.begin(), parts.end(), suffix) != parts.end();
    if (part && !of_linear) {
      throw Error(ErrorCode::bad_description,
                  fmt::format("{} is a part of a quantized linear that is not there", name))
          .at(source_->file_of(name))
          .hint(kDamagedFile);
    }
    if (!of_linear) {
      floats_.insert(name);
      return;
    }
    const bool codes = !reader_->linear_of(*source_->find(name)).empty();
    if (part || codes || suffix == kBias) return;
    throw Error(ErrorCode::bad_description, fmt::format("{} has no place in this format", name))
        .at(source_->file_of(name))
        .hint(kDamagedFile);
  }

  void release_part(std::string_view module, std::string_view part) const noexcept {
    source_->release(std::string(module).append(part));
  }

  std::shared_ptr<const containers::TensorSource> source_;
  std::unique_ptr<HfReader> reader_;
  std::set<std::string, std::less<>> linears_;
  std::set<std::string, std::less<>> floats_;
  std::vector<std::string> notes_;
};

}  // namespace

HfModule::HfModule(const containers::TensorSource& source, std::string name)
    : source_(source), name_(std::move(name)) {}

const containers::TensorInfo* HfModule::find(std::string_view suffix) const noexcept {
  return source_.find(std::string(name_).append(suffix));
}

const containers::TensorInfo& HfModule::existing(std::string_view suffix) const {
  const containers::TensorInfo* info = find(suffix);
  if (info != nullptr) return *info;
  throw Error(ErrorCode::tensor_missing, std::string(name_).append(suffix)).hint(kDamagedFile);
}

const containers::TensorInfo& HfModule::expect(std::string_view suffix, DType dtype,
                                            std::size_t rank) const {
  const containers::TensorInfo& info = existing(suffix);
  const bool fits = info.dtype == dtype && info.shape.rank() == rank && info.shape.numel() > 0;
  if (!fits) mismatch(suffix, fmt::format("{} with {} dimensions", pare::name_of(dtype), rank));
  return info;
}

const containers::TensorInfo& HfModule::expect_floats(std::string_view suffix,
                                                   std::size_t rank) const {
  const containers::TensorInfo& info = existing(suffix);
  const bool fits =
      is_weight_float(info.dtype) && info.shape.rank() == rank && info.shape.numel() > 0;
  if (!fits) mismatch(suffix, fmt::format("F32, F16 or BF16 with {} dimensions", rank));
  return info;
}

TensorView HfModule::read(std::string_view suffix, DType dtype, const Shape& shape) const {
  const containers::TensorInfo& info = existing(suffix);
  if (info.dtype != dtype || info.shape != shape) {
    mismatch(suffix, fmt::format("{} {}", pare::name_of(dtype), shape.text()));
  }
  source_.populate(info.name);
  return source_.read(info.name);
}

std::vector<float> HfModule::floats(std::string_view suffix, const Shape& shape) const {
  const DType dtype = existing(suffix).dtype;
  if (!is_weight_float(dtype)) mismatch(suffix, "F32, F16 or BF16 " + shape.text());
  std::vector<float> values = read_floats(read(suffix, dtype, shape));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    throw Error(ErrorCode::not_finite,
                fmt::format("{}{}, value {}: {}", name_, suffix, i, values[i]))
        .hint(kDamagedFile);
  }
  return values;
}

void HfModule::mismatch(std::string_view suffix, const std::string& expected) const {
  const containers::TensorInfo& info = existing(suffix);
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} must be {}, found {} {}", info.name, expected,
                          pare::name_of(info.dtype), info.shape.text()))
      .hint(kDamagedFile);
}

void HfModule::contradiction(const std::string& detail) const {
  throw Error(ErrorCode::bad_description, fmt::format("{}: {}", name_, detail)).hint(kDamagedFile);
}

std::unique_ptr<QuantizedCheckpoint> make_hf_checkpoint(
    std::unique_ptr<containers::TensorSource> source, std::unique_ptr<HfReader> reader) {
  return std::make_unique<HfCheckpoint>(std::move(source), std::move(reader));
}

StridedCodes<std::int8_t> input_grid(quant::QuantizedLinear& q) {
  q.codes.resize(static_cast<std::size_t>(q.out * q.in));
  return {q.codes.data(), q.in, q.out, 1, q.in};
}

}  // namespace pare::layout
