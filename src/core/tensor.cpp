// Shapes, tensors, and floats in the types of files.
#include "pare/tensor.h"

#include "core/half.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace pare {

std::int64_t Shape::numel() const {
  std::int64_t product = 1;
  for (const std::int64_t dim : dims_) {
    if (dim < 0 || __builtin_mul_overflow(product, dim, &product)) {
      throw Error(ErrorCode::tensor_mismatch, fmt::format("impossible shape {}", text()));
    }
  }
  return product;
}

std::string Shape::text() const { return fmt::format("[{}]", fmt::join(dims_, ", ")); }

Tensor::Tensor(DType dtype, Shape shape)
    : dtype_(dtype),
      shape_(std::move(shape)),
      bytes_(bytes_of(dtype, shape_.numel()).value_or(0)) {}

namespace {

template <typename T>
void widen(const std::byte* data, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    out[i] = to_float(value);
  }
}

/// Half-precision bits of all values; false when a finite one has become `infinity`.
template <typename Convert>
bool narrow(std::span<const float> values, const Convert& convert, unsigned infinity,
            std::byte* out) noexcept {
  bool fits = true;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = convert(values[i]).bits;
    fits = fits && ((half & 0x7FFFU) != infinity || std::isinf(values[i]));
    std::memcpy(out + 2 * i, &half, 2);
  }
  return fits;
}

[[noreturn]] void fail_too_large(std::span<const float> values, DType dtype) {
  const auto grew = [&](float v) {
    return std::isfinite(v) && !std::isfinite(round_through(v, dtype));
  };
  const float value = *std::find_if(values.begin(), values.end(), grew);
  throw Error(ErrorCode::out_of_range,
              fmt::format("{} is too large for {}", value, name_of(dtype)));
}

}  // namespace

void read_floats(const TensorView& tensor, std::int64_t first, std::span<float> out) {
  assert(first >= 0);
  const std::byte* data =
      tensor.data.data() + static_cast<std::size_t>(first) * size_of(tensor.dtype);
  assert(data + out.size() * size_of(tensor.dtype) <= tensor.data.data() + tensor.data.size());
  switch (tensor.dtype) {
    case DType::f32:
      return widen<float>(data, out);
    case DType::f16:
      return widen<F16>(data, out);
    case DType::bf16:
      return widen<BF16>(data, out);
    default:
      break;
  }
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("expected F32, F16 or BF16 values, found {}", name_of(tensor.dtype)));
}

std::vector<float> read_floats(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.numel()));
  read_floats(tensor, 0, values);
  return values;
}

float round_through(float value, DType dtype) noexcept {
  if (dtype == DType::f16) return to_float(to_f16(value));
  if (dtype == DType::bf16) return to_float(to_bf16(value));
  return value;
}

Tensor store_floats(std::span<const float> values, DType dtype, Shape shape) {
  Tensor stored(dtype, std::move(shape));
  std::byte* out = stored.bytes().data();
  bool fits = true;
  switch (dtype) {
    case DType::f16:
      fits = narrow(values, to_f16, 0x7C00U, out);
      break;
    case DType::bf16:
      fits = narrow(values, to_bf16, 0x7F80U, out);
      break;
    default:
      std::ranges::copy(std::as_bytes(values), out);  // memcpy may not be given no values
  }
  if (!fits) fail_too_large(values, dtype);
  return stored;
}

TensorView rows_of(const TensorView& matrix, std::int64_t first, std::int64_t count) {
  const std::optional<std::size_t> whole = bytes_of(matrix.dtype, matrix.shape[1]);
  if (!whole) {
    throw Error(ErrorCode::tensor_mismatch,
                fmt::format("rows of {} cannot be told apart", name_of(matrix.dtype)));
  }
  const std::size_t row = *whole;
  return {matrix.dtype, Shape{count, matrix.shape[1]},
          matrix.data.subspan(static_cast<std::size_t>(first) * row,
                              static_cast<std::size_t>(count) * row),
          matrix.owner};
}

}  // namespace pare
