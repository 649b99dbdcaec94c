#include "layouts/ascend/math/int4.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace pare::layout {
namespace {

std::byte join_nibbles(std::int8_t low, std::int8_t high) noexcept {
  return static_cast<std::byte>((static_cast<unsigned>(high) & 0xFU) << 4 |
                                (static_cast<unsigned>(low) & 0xFU));
}

/// The signed value of a nibble 0..15.
std::int8_t signed_nibble(unsigned nibble) noexcept {
  return static_cast<std::int8_t>(static_cast<int>(nibble ^ 8U) - 8);
}

void check_packable(std::span<const std::int8_t> codes, std::int64_t out, std::int64_t in,
                    Packing packing) {
  const std::int64_t paired = packing == Packing::inputs ? in : out;
  if (packing == Packing::none || paired % 2 != 0) {
    throw Error(ErrorCode::internal, fmt::format("[{}, {}] cannot be packed in pairs", out, in));
  }
  const auto too_large = [](std::int8_t code) { return code < -8 || code > 7; };
  if (std::any_of(codes.begin(), codes.end(), too_large)) {
    throw Error(ErrorCode::internal, "a 4-bit code lies outside -8..7");
  }
}

}  // namespace

Packing packing_of(const quant::Scheme& scheme, std::int64_t in) noexcept {
  if (scheme.weight_bits != 4) return Packing::none;
  if (scheme.form == quant::CodeForm::two_stage) return Packing::outputs;
  return scheme.groups(in) > 1 ? Packing::outputs : Packing::inputs;
}

Shape packed_shape(std::int64_t out, std::int64_t in, Packing packing) {
  if (packing == Packing::inputs) return {out, in / 2};
  if (packing == Packing::outputs) return {out / 2, in};
  return {out, in};
}

Tensor pack_int4(std::span<const std::int8_t> codes, std::int64_t out, std::int64_t in,
                 Packing packing) {
  check_packable(codes, out, in, packing);
  Tensor packed(DType::i8, packed_shape(out, in, packing));
  const std::span<std::byte> bytes = packed.bytes();
  if (packing == Packing::inputs) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = join_nibbles(codes[2 * i], codes[2 * i + 1]);
    }
    return packed;
  }
  const auto width = static_cast<std::size_t>(in);
  for (std::size_t row = 0; row < static_cast<std::size_t>(out / 2); ++row) {
    const std::int8_t* even = codes.data() + 2 * row * width;
    for (std::size_t i = 0; i < width; ++i) {
      bytes[row * width + i] = join_nibbles(even[i], even[width + i]);
    }
  }
  return packed;
}

std::vector<std::int8_t> unpack_int4(std::span<const std::byte> bytes, std::int64_t out,
                                     std::int64_t in, Packing packing) {
  std::vector<std::int8_t> codes(static_cast<std::size_t>(out * in));
  assert(codes.size() == 2 * bytes.size());
  const auto width = static_cast<std::size_t>(in);
  // A byte's high nibble lies one code or one row behind its low nibble.
  const std::size_t step = packing == Packing::inputs ? 1 : width;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t low =
        packing == Packing::inputs ? 2 * i : (i / width) * 2 * width + i % width;
    const auto byte = static_cast<unsigned>(bytes[i]);
    codes[low] = signed_nibble(byte & 0xFU);
    codes[low + step] = signed_nibble(byte >> 4);
  }
  return codes;
}

}  // namespace pare::layout
