// The table of element types.
#include "pare/tensor.h"

#include <array>

namespace pare {
namespace {

struct Traits {
  DType dtype;
  std::size_t size;
  std::string_view name;
};

constexpr std::array kTraits = {
    Traits{DType::boolean, 1, "BOOL"}, Traits{DType::u8, 1, "U8"},
    Traits{DType::i8, 1, "I8"},        Traits{DType::i16, 2, "I16"},
    Traits{DType::u16, 2, "U16"},      Traits{DType::f16, 2, "F16"},
    Traits{DType::bf16, 2, "BF16"},    Traits{DType::i32, 4, "I32"},
    Traits{DType::u32, 4, "U32"},      Traits{DType::f32, 4, "F32"},
    Traits{DType::i64, 8, "I64"},      Traits{DType::u64, 8, "U64"},
    Traits{DType::f64, 8, "F64"},      Traits{DType::f8_e4m3, 1, "F8_E4M3"},
    Traits{DType::f8_e5m2, 1, "F8_E5M2"},
};

const Traits& traits_of(DType dtype) noexcept {
  return kTraits[static_cast<std::size_t>(dtype)];
}

}  // namespace

std::size_t size_of(DType dtype) noexcept { return traits_of(dtype).size; }

std::string_view name_of(DType dtype) noexcept { return traits_of(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view safetensors_name) noexcept {
  for (const Traits& t : kTraits) {
    if (t.name == safetensors_name) return t.dtype;
  }
  return std::nullopt;
}

bool is_weight_float(DType dtype) noexcept {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

}  // namespace pare
