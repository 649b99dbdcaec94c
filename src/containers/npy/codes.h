// The two names an element type has in `.npy` files: numpy's code and torch's storage class.
#pragma once

#include "pare/tensor.h"

#include <array>
#include <optional>
#include <string_view>

namespace pare::containers {

struct NpyCode {
  DType dtype;
  std::string_view numpy;    // without byte order; empty when numpy has none
  std::string_view storage;  // class in module torch; empty when the legacy stream has none
};

inline constexpr std::array kNpyCodes = {
    NpyCode{DType::boolean, "b1", "BoolStorage"},
    NpyCode{DType::u8, "u1", "ByteStorage"},
    NpyCode{DType::i8, "i1", "CharStorage"},
    NpyCode{DType::i16, "i2", "ShortStorage"},
    NpyCode{DType::u16, "u2", ""},
    NpyCode{DType::f16, "f2", "HalfStorage"},
    NpyCode{DType::bf16, "", "BFloat16Storage"},
    NpyCode{DType::i32, "i4", "IntStorage"},
    NpyCode{DType::u32, "u4", ""},
    NpyCode{DType::f32, "f4", "FloatStorage"},
    NpyCode{DType::i64, "i8", "LongStorage"},
    NpyCode{DType::u64, "u8", ""},
    NpyCode{DType::f64, "f8", "DoubleStorage"},
};

/// "i4" -> i32. Byte order is not part of the code.
inline std::optional<DType> dtype_of_numpy_code(std::string_view code) noexcept {
  for (const NpyCode& entry : kNpyCodes) {
    if (!code.empty() && entry.numpy == code) return entry.dtype;
  }
  return std::nullopt;
}

/// "CharStorage" -> i8.
inline std::optional<DType> dtype_of_storage(std::string_view name) noexcept {
  for (const NpyCode& entry : kNpyCodes) {
    if (!name.empty() && entry.storage == name) return entry.dtype;
  }
  return std::nullopt;
}

/// nullptr for types neither of them has (f8).
inline const NpyCode* npy_code_of(DType dtype) noexcept {
  for (const NpyCode& entry : kNpyCodes) {
    if (entry.dtype == dtype) return &entry;
  }
  return nullptr;
}

/// '|' for single bytes, '<' otherwise.
inline char byte_order_of(DType dtype) noexcept { return size_of(dtype) == 1 ? '|' : '<'; }

}  // namespace pare::containers
