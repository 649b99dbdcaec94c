#include "layouts/ascend/ascend_parts.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <span>

namespace pare::layout {
namespace {

bool is_finite(float v) noexcept { return std::isfinite(v); }
bool is_scale(float v) noexcept { return std::isfinite(v) && v >= 0; }
bool is_positive_scale(float v) noexcept { return std::isfinite(v) && v > 0; }
bool is_whole(float v) noexcept { return std::isfinite(v) && std::nearbyint(v) == v; }
bool is_int8(float v) noexcept { return is_whole(v) && v >= -128 && v <= 127; }

bool all_zero_bits(std::span<const std::byte> bytes) noexcept {
  // Every byte equals the one after it, and the first is 0.
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

template <typename T>
std::vector<T> checked_integers(const AscendParts& found, Part part, DType dtype,
                                const Shape& shape) {
  const TensorView& view = *found[part];
  if (view.dtype != dtype || view.shape != shape) {
    mismatch(part, fmt::format("{} {}", name_of(dtype), shape.text()), view);
  }
  std::vector<T> values(view.data.size() / sizeof(T));
  std::memcpy(values.data(), view.data.data(), view.data.size());
  return values;
}

}  // namespace

const ValueRule kScale = {is_scale, "is no scale"};
const ValueRule kPositiveScale = {is_positive_scale, "is no scale"};
const ValueRule kWhole = {
    is_whole, "is no whole number",
    "no engine reads fractions of a zero point: quantize again with zero points rounded before the "
    "codes are made"};
const ValueRule kInt8 = {is_int8, "is no whole number in -128..127"};
const ValueRule kFinite = {is_finite, "is not finite"};

void mismatch(Part part, const std::string& expected, const TensorView& found) {
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} must be {}, found {} {}", name_of(part), expected,
                          name_of(found.dtype), found.shape.text()))
      .hint(kDamaged);
}

void bad_value(Part part, std::size_t index, float value, std::string_view rule,
               std::string_view hint) {
  const bool finite = std::isfinite(value);
  throw Error(finite ? ErrorCode::tensor_mismatch : ErrorCode::not_finite,
              fmt::format("{}, value {}: {} {}", name_of(part), index, value, rule))
      .hint(std::string(hint));
}

std::vector<float> checked_floats(const AscendParts& found, Part part, const Shape& shape,
                                  const ValueRule& rule) {
  const TensorView& view = *found[part];
  if (!is_weight_float(view.dtype) || view.shape != shape) {
    mismatch(part, fmt::format("F32, F16 or BF16 {}", shape.text()), view);
  }
  if (rule.allowed(0) && all_zero_bits(view.data)) {  // the zero points of symmetric weights
    return std::vector<float>(static_cast<std::size_t>(view.numel()));
  }
  std::vector<float> values = read_floats(view);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!rule.allowed(values[i])) {
      bad_value(part, i, values[i], rule.otherwise, rule.hint);
    }
  }
  return values;
}

std::vector<std::int32_t> checked_i32(const AscendParts& found, Part part, const Shape& shape) {
  return checked_integers<std::int32_t>(found, part, DType::i32, shape);
}

std::vector<std::int64_t> checked_i64(const AscendParts& found, Part part, const Shape& shape) {
  return checked_integers<std::int64_t>(found, part, DType::i64, shape);
}

}  // namespace pare::layout
