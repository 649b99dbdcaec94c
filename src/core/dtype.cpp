// The table of element types.
#include "pare/tensor.h"

#include <array>

namespace pare {
namespace {

struct Traits {
  DType dtype;
  std::size_t bits;
  std::string_view name;
};

constexpr std::array kTraits = {
    Traits{DType::boolean, 8, "BOOL"},
    Traits{DType::u8, 8, "U8"},
    Traits{DType::i8, 8, "I8"},
    Traits{DType::i16, 16, "I16"},
    Traits{DType::u16, 16, "U16"},
    Traits{DType::f16, 16, "F16"},
    Traits{DType::bf16, 16, "BF16"},
    Traits{DType::i32, 32, "I32"},
    Traits{DType::u32, 32, "U32"},
    Traits{DType::f32, 32, "F32"},
    Traits{DType::i64, 64, "I64"},
    Traits{DType::u64, 64, "U64"},
    Traits{DType::f64, 64, "F64"},
    Traits{DType::f8_e4m3, 8, "F8_E4M3"},
    Traits{DType::f8_e5m2, 8, "F8_E5M2"},
    Traits{DType::f8_e8m0, 8, "F8_E8M0"},
    Traits{DType::f8_e4m3fnuz, 8, "F8_E4M3FNUZ"},
    Traits{DType::f8_e5m2fnuz, 8, "F8_E5M2FNUZ"},
    Traits{DType::c64, 64, "C64"},
    Traits{DType::f4, 4, "F4"},
    Traits{DType::f6_e2m3, 6, "F6_E2M3"},
    Traits{DType::f6_e3m2, 6, "F6_E3M2"},
    Traits{DType::foreign, 0, "an unknown type"},
};

const Traits& traits_of(DType dtype) noexcept { return kTraits[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::size_t size_of(DType dtype) noexcept {
  const std::size_t bits = traits_of(dtype).bits;
  return bits % 8 == 0 ? bits / 8 : 0;
}

std::optional<std::size_t> bytes_of(DType dtype, std::int64_t count) noexcept {
  std::size_t bits = traits_of(dtype).bits;
  if (bits == 0 || count < 0) return std::nullopt;
  if (__builtin_mul_overflow(bits, static_cast<std::size_t>(count), &bits)) return std::nullopt;
  return bits % 8 == 0 ? std::optional(bits / 8) : std::nullopt;
}

std::string_view name_of(DType dtype) noexcept { return traits_of(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view safetensors_name) noexcept {
  for (const Traits& t : kTraits) {
    if (t.name == safetensors_name && t.bits != 0) return t.dtype;
  }
  return std::nullopt;
}

bool is_weight_float(DType dtype) noexcept {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

}  // namespace pare
