#include "layouts/gguf/blocks.h"

#include "core/half.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace pare::layout {
namespace {

using containers::GgufType;

constexpr std::size_t kHalf = 2;
constexpr int kZeroCode = 8;  // 4-bit codes lie from 0 on

void put_half(std::byte* out, F16 value) noexcept { std::memcpy(out, &value.bits, kHalf); }

float get_half(const std::byte* in) noexcept {
  F16 value;
  std::memcpy(&value.bits, in, kHalf);
  return to_float(value);
}

[[noreturn]] void fail_value(ErrorCode code, const quant::QuantizedLinear& q, std::int64_t row,
                             std::int64_t group, const std::string& what, std::string hint) {
  throw Error(code, fmt::format("{}, row {}, group {}: {}", q.name, row, group, what))
      .hint(std::move(hint));
}

F16 exact_scale(const quant::QuantizedLinear& q, std::int64_t row, std::int64_t group) {
  const float scale = q.scale_at(row, group);
  const F16 stored = to_f16(scale);
  if (std::isfinite(scale) && to_float(stored) == scale) return stored;
  fail_value(ErrorCode::out_of_range, q, row, group,
             fmt::format("scale {} is not exact in F16", scale),
             "round scales to F16 before codes are made");
}

F16 exact_offset(const quant::QuantizedLinear& q, std::int64_t row, std::int64_t group) {
  const float offset = -(q.zero_at(row, group) + kZeroCode) * q.scale_at(row, group);
  const F16 stored = to_f16(offset);
  if (std::isfinite(offset) && to_float(stored) == offset) return stored;
  fail_value(ErrorCode::scheme_not_supported, q, row, group,
             fmt::format("Q4_1 blocks hold -zero * scale as F16, and {} is not exact there", offset),
             "choose --format gptq-v2, autoawq or compressed-tensors, or symmetric weights");
}

std::byte nibbles(std::int8_t low, std::int8_t high) noexcept {
  const auto bits = static_cast<unsigned>(low + kZeroCode) |
                    static_cast<unsigned>(high + kZeroCode) << 4U;
  return static_cast<std::byte>(bits);
}

void put_nibbles(std::byte* out, const std::int8_t* codes) noexcept {
  for (std::int64_t j = 0; j < kBlockColumns / 2; ++j)
    out[j] = nibbles(codes[j], codes[j + kBlockColumns / 2]);
}

void get_nibbles(const std::byte* in, std::int8_t* codes) noexcept {
  for (std::int64_t j = 0; j < kBlockColumns / 2; ++j) {
    const auto bits = std::to_integer<int>(in[j]);
    codes[j] = static_cast<std::int8_t>((bits & 15) - kZeroCode);
    codes[j + kBlockColumns / 2] = static_cast<std::int8_t>((bits >> 4) - kZeroCode);
  }
}

std::size_t head_bytes(GgufType type) noexcept {
  return type == GgufType::q4_1 ? 2 * kHalf : kHalf;
}

/// The whole number Z with m = -Z d, as a zero on the signed grid.
float zero_of(float scale, float offset) {
  if (offset == 0) return -kZeroCode;
  const float zero = scale == 0 ? NAN : std::nearbyint(-offset / scale);
  if (zero >= 0 && zero < 16 && -zero * scale == offset) return zero - kZeroCode;
  throw Error(ErrorCode::scheme_not_supported,
              fmt::format("a Q4_1 block with scale {} and offset {} has no whole zero point", scale,
                          offset))
      .hint("its weights are not whole multiples of a scale: convert it with llama.cpp's own tools");
}

void check_finite(float value) {
  if (std::isfinite(value)) return;
  throw Error(ErrorCode::not_finite, fmt::format("a block's scale or offset is {}", value))
      .hint("the file is damaged or was made by another program");
}

}  // namespace

void encode_row(const quant::QuantizedLinear& q, std::int64_t row, GgufType type,
                std::span<std::byte> out) {
  const std::size_t step = static_cast<std::size_t>(containers::gguf_block(type).bytes);
  const std::int64_t columns = q.scheme.group_columns(q.in);
  const std::int8_t* codes = q.codes.data() + row * q.in;
  std::byte* block = out.data();
  for (std::int64_t first = 0; first < q.in; first += kBlockColumns, block += step) {
    const std::int64_t group = first / columns;
    put_half(block, exact_scale(q, row, group));
    if (type == GgufType::q4_1) put_half(block + kHalf, exact_offset(q, row, group));
    std::byte* body = block + head_bytes(type);
    if (type == GgufType::q8_0) {
      std::memcpy(body, codes + first, static_cast<std::size_t>(kBlockColumns));
    } else {
      put_nibbles(body, codes + first);
    }
  }
}

void decode_row(std::span<const std::byte> row, GgufType type, std::int64_t columns,
                const DecodedRow& out) {
  const std::size_t step = static_cast<std::size_t>(containers::gguf_block(type).bytes);
  const auto blocks = static_cast<std::int64_t>(row.size() / step);
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::byte* block = row.data() + static_cast<std::size_t>(i) * step;
    const std::int64_t group = i * kBlockColumns / columns;
    const bool first = i * kBlockColumns % columns == 0;
    const float scale = get_half(block);
    check_finite(scale);
    float zero = 0;
    if (type == GgufType::q4_1) {
      check_finite(get_half(block + kHalf));
      zero = zero_of(scale, get_half(block + kHalf));
    }
    if (first) out.scales[group] = scale;
    if (first) out.zeros[group] = zero;
    if (out.scales[group] != scale || out.zeros[group] != zero) {
      throw Error(ErrorCode::bad_description,
                  fmt::format("the blocks of group {} have different scales, though the file says "
                              "that {} columns share one",
                              group, columns))
          .hint("the file is damaged or was changed by another program");
    }
    if (out.codes == nullptr) continue;
    std::int8_t* codes = out.codes + i * kBlockColumns;
    if (type == GgufType::q8_0) {
      std::memcpy(codes, block + kHalf, static_cast<std::size_t>(kBlockColumns));
    } else {
      get_nibbles(block + head_bytes(type), codes);
    }
  }
}

}  // namespace pare::layout
