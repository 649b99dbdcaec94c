// Element types: one table of names and sizes, used by every file format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pare {

enum class DType : std::uint8_t {
  boolean, u8, i8, i16, u16, f16, bf16, i32, u32, f32, i64, u64, f64, f8_e4m3, f8_e5m2
};

/// Bytes of one element.
std::size_t size_of(DType dtype) noexcept;

/// Name as safetensors spells it: "BF16", "I8", …
std::string_view name_of(DType dtype) noexcept;

/// The element type a safetensors name stands for; nullopt when it is none we store.
std::optional<DType> dtype_from_name(std::string_view safetensors_name) noexcept;

/// True for f32, f16 and bf16: the types a weight may have.
bool is_weight_float(DType dtype) noexcept;

}  // namespace pare
