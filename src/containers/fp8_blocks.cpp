#include "containers/fp8_blocks.h"

#include "containers/find_tensor.h"
#include "core/half.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <utility>

namespace pare::containers {
namespace {

constexpr std::string_view kScale = "_scale_inv";

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// E4M3: sign, four bits of exponent with bias 7, three of mantissa; all ones is NaN.
float value_of(unsigned code) {
  const unsigned exponent = (code >> 3) & 15U;
  const unsigned mantissa = code & 7U;
  const float sign = (code & 0x80U) != 0 ? -1.0F : 1.0F;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -9);
  return sign * std::ldexp(static_cast<float>(8 + mantissa), static_cast<int>(exponent) - 10);
}

std::array<float, 256> make_values() {
  std::array<float, 256> values{};
  for (unsigned code = 0; code < values.size(); ++code)
    values[code] = value_of(code);
  return values;
}

class Fp8BlockSource final : public TensorSource {
 public:
  Fp8BlockSource(std::unique_ptr<TensorSource> source, Fp8Blocks blocks)
      : source_(std::move(source)), blocks_(blocks), values_(make_values()) {
    for (const TensorInfo& info : source_->tensors()) {
      if (info.dtype == DType::f8_e4m3 && info.shape.rank() == 2) check_scales(info);
    }
    for (const TensorInfo& info : source_->tensors()) {
      if (scales_.contains(info.name)) continue;
      tensors_.push_back(info);
      if (is_coded(info.name)) tensors_.back().dtype = DType::bf16;
    }
  }

  std::span<const TensorInfo> tensors() const noexcept override { return tensors_; }

  const TensorInfo* find(std::string_view name) const noexcept override {
    return find_tensor(tensors_, name);
  }

  TensorView read(std::string_view name) const override {
    if (!is_coded(name)) return source_->read(name);
    return decode(name, 0, find(name)->shape[0]);
  }

  TensorView read_rows(std::string_view name, std::int64_t first,
                       std::int64_t count) const override {
    if (!is_coded(name)) return source_->read_rows(name, first, count);
    return decode(name, first, count);
  }

  void release(std::string_view name) const noexcept override { source_->release(name); }
  void populate(std::string_view name) const noexcept override { source_->populate(name); }
  std::string file_of(std::string_view name) const override { return source_->file_of(name); }
  std::vector<std::filesystem::path> files() const override { return source_->files(); }

 private:
  bool is_coded(std::string_view name) const { return coded_.contains(name); }

  void check_scales(const TensorInfo& info) {
    const std::string name = info.name + std::string(kScale);
    const TensorInfo* scale = source_->find(name);
    if (scale == nullptr) {
      throw Error(ErrorCode::tensor_mismatch,
                  fmt::format("{} holds FP8 codes and {} is not there", info.name, name))
          .at(source_->file_of(info.name))
          .hint("start from the float checkpoint");
    }
    const Shape expected{divide_up(info.shape[0], blocks_.rows),
                         divide_up(info.shape[1], blocks_.columns)};
    if (scale->shape != expected || !is_weight_float(scale->dtype)) {
      throw Error(
          ErrorCode::tensor_mismatch,
          fmt::format("{} is {} of {}; floats of {} are needed for {} {} in blocks of {} x {}",
                      name, scale->shape.text(), name_of(scale->dtype), expected.text(), info.name,
                      info.shape.text(), blocks_.rows, blocks_.columns))
          .at(source_->file_of(name))
          .hint("weight_block_size in config.json and the scales must be of the same model");
    }
    coded_.insert(info.name);
    scales_.insert(name);
  }

  TensorView decode(std::string_view name, std::int64_t first, std::int64_t count) const {
    const TensorView codes = source_->read_rows(name, first, count);
    const std::string scale_name = std::string(name) + std::string(kScale);
    const TensorView scale = source_->read(scale_name);
    const std::vector<float> scales = read_floats(scale);
    const std::int64_t columns = codes.shape[1];
    const std::int64_t blocks_across = scale.shape[1];
    const auto tensor = std::make_shared<Tensor>(DType::bf16, Shape{count, columns});
    auto* out = reinterpret_cast<BF16*>(tensor->bytes().data());
    for (std::int64_t row = 0; row < count; ++row) {
      const auto* from = reinterpret_cast<const std::uint8_t*>(codes.data.data()) + row * columns;
      const float* of_row = scales.data() + (first + row) / blocks_.rows * blocks_across;
      for (std::int64_t c = 0; c < columns; ++c) {
        out[row * columns + c] = to_bf16(values_[from[c]] * of_row[c / blocks_.columns]);
      }
    }
    source_->release(scale_name);
    source_->release(name);
    TensorView view = tensor->view();
    view.owner = tensor;
    return view;
  }

  std::unique_ptr<TensorSource> source_;
  Fp8Blocks blocks_;
  std::array<float, 256> values_;
  std::vector<TensorInfo> tensors_;
  std::set<std::string, std::less<>> coded_;
  std::set<std::string, std::less<>> scales_;
};

}  // namespace

std::unique_ptr<TensorSource> dequantize_fp8_blocks(std::unique_ptr<TensorSource> source,
                                                    Fp8Blocks blocks) {
  return std::make_unique<Fp8BlockSource>(std::move(source), blocks);
}

}  // namespace pare::containers
