// The affine quantizer's arithmetic: parameters from a range, codes from values. f32 throughout,
// true divisions, round half to even, so that results equal the reference bit for bit.
#pragma once

#include <cstdint>
#include <span>

namespace pare::quant {

/// eps below: no scale is smaller.
inline constexpr float kSmallestScale = 0x1p-23F;

struct AffineParams {
  float scale = 1;
  float zero_point = 0;
};

/// Signed integer grid of `bits` for values in [min, max]; the range is first widened to hold 0.
/// Math: asym: scale = max((max-min)/(2^b-1), eps), zero = rint(-min/scale) - 2^(b-1)
///       sym:  scale = max(max(-min, max)/(2^(b-1)-1), eps), zero = 0;  eps = 2^-23
/// Source: Jacob et al., arXiv:1712.05877, sec. 2.1; docs/formats/ascend.md, "Parameters"
AffineParams affine_params(int bits, float min, float max, bool symmetric) noexcept;

/// rint(x / scale + zero), clamped to [lo, hi].
float quantize_value(float x, AffineParams p, float lo, float hi) noexcept;

/// Fake quantization in place: x becomes (q - zero) * scale.
void fake_quantize(std::span<float> x, AffineParams p, float lo, float hi) noexcept;

/// Symmetric int8 per token: scale = max|x| / 127 (1 for an all-zero token); x becomes q * scale.
void fake_quantize_token(std::span<float> x) noexcept;

}  // namespace pare::quant
