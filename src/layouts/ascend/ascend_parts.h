// LinearParts by the names and with the words of Ascend's descriptions, and checked access to them.
#pragma once

#include "layouts/ascend/parts.h"
#include "layouts/layout.h"
#include "layouts/linear_parts.h"
#include "quant/named_schemes.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// The tensors of one linear, and what the description says of them.
struct AscendParts {
  std::string module;
  const quant::NamedScheme* scheme = nullptr;
  Int4 int4 = Int4::unpaired;
  std::int64_t group_size = 0;  // as the description states it, 0 = not stated
  std::array<std::optional<TensorView>, kPartCount> parts;

  const std::optional<TensorView>& operator[](Part part) const noexcept {
    return parts[static_cast<std::size_t>(part)];
  }
  std::optional<TensorView>& operator[](Part part) noexcept {
    return parts[static_cast<std::size_t>(part)];
  }
};

/// Throws Error(tensor_mismatch): the part must be `expected`, found is the view.
[[noreturn]] void mismatch(Part part, const std::string& expected, const TensorView& found);

/// Throws for one value that breaks a rule: not_finite, or tensor_mismatch when it is finite.
[[noreturn]] void bad_value(Part part, std::size_t index, float value, std::string_view rule,
                            std::string_view hint = kDamaged);

/// What values of a part may be, how messages put it ({is_scale, "is no scale"}), and what to do.
struct ValueRule {
  bool (*allowed)(float) noexcept;
  std::string_view otherwise;
  std::string_view hint = kDamaged;
};
extern const ValueRule kScale;          // finite, at least 0
extern const ValueRule kPositiveScale;  // finite, above 0
extern const ValueRule kWhole;          // a whole number
extern const ValueRule kInt8;           // a whole number in -128..127
extern const ValueRule kFinite;

/// Values of a part of type F32, F16 or BF16 and of this shape, each held against the rule.
/// Errors: tensor_mismatch, not_finite.
std::vector<float> checked_floats(const AscendParts& found, Part part, const Shape& shape,
                                  const ValueRule& rule);

/// Values of a part of type `T` (given as `dtype`), of this shape.
/// Errors: tensor_mismatch.
std::vector<std::int32_t> checked_i32(const AscendParts& found, Part part, const Shape& shape);
std::vector<std::int64_t> checked_i64(const AscendParts& found, Part part, const Shape& shape);

}  // namespace pare::layout
