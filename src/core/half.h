// The 16-bit float types: bf16 and IEEE f16, with conversions that round half to even.
#pragma once

#include <bit>
#include <cstdint>

namespace pare {

/// bfloat16: the upper half of an f32.
struct BF16 {
  std::uint16_t bits = 0;
};

/// IEEE binary16.
struct F16 {
  std::uint16_t bits = 0;
};

inline float to_float(BF16 v) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16);
}

inline float to_float(F16 v) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(v.bits & 0x8000U) << 16;
  const std::uint32_t exponent = (v.bits >> 10) & 0x1FU;
  const std::uint32_t mantissa = v.bits & 0x3FFU;
  if (exponent == 0x1FU) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-08F;  // 2^-24
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

inline float to_float(float v) noexcept { return v; }

inline BF16 to_bf16(float v) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(v);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) {  // NaN keeps its sign and stays a NaN
    return BF16{static_cast<std::uint16_t>((bits >> 16) | 0x0040U)};
  }
  return BF16{static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}

inline F16 to_f16(float v) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(v);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return F16{static_cast<std::uint16_t>(sign | 0x7E00U)};
  if (magnitude >= 0x47800000U) return F16{static_cast<std::uint16_t>(sign | 0x7C00U)};  // >= 2^16
  if (magnitude < 0x38800000U) {  // below 2^-14: subnormal; adding 0.5 lets the FPU round
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return F16{static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) & 0x7FFU))};
  }
  const std::uint32_t rounded = magnitude - 0x38000000U + 0xFFFU + ((magnitude >> 13) & 1U);
  return F16{static_cast<std::uint16_t>(sign | (rounded >> 13))};
}

}  // namespace pare
