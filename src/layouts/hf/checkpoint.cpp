#include "layouts/hf/checkpoint.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace pare::layout {
namespace {

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
    notes_ = reader_->notes(LinearParts(*source_, *linears_.begin()));
  }

  std::vector<std::string> linears() const override { return {linears_.begin(), linears_.end()}; }
  std::vector<std::string> tensors() const override { return {floats_.begin(), floats_.end()}; }
  std::vector<std::string> notes() const override { return notes_; }
  std::shared_ptr<const containers::TensorSource> stored() const override { return source_; }

  std::optional<LoadedLinear> linear(std::string_view module) const override {
    if (linears_.find(module) == linears_.end()) return std::nullopt;
    const LinearParts found(*source_, std::string(module));
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
    const LinearParts found(*source_, std::string(module));
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
  quant::QuantizedLinear read(const LinearParts& module, Codes codes) const {
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
          .hint(kDamaged);
    }
    if (!of_linear) {
      floats_.insert(name);
      return;
    }
    const bool codes = !reader_->linear_of(*source_->find(name)).empty();
    if (part || codes || suffix == kBias) return;
    throw Error(ErrorCode::bad_description, fmt::format("{} has no place in this format", name))
        .at(source_->file_of(name))
        .hint(kDamaged);
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

std::unique_ptr<QuantizedCheckpoint> make_hf_checkpoint(
    std::unique_ptr<containers::TensorSource> source, std::unique_ptr<HfReader> reader) {
  return std::make_unique<HfCheckpoint>(std::move(source), std::move(reader));
}

StridedCodes<std::int8_t> input_grid(quant::QuantizedLinear& q) {
  q.codes.resize(static_cast<std::size_t>(q.out * q.in));
  return {q.codes.data(), q.in, q.out, 1, q.in};
}

}  // namespace pare::layout
