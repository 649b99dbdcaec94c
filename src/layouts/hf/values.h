// Scales, zeros and groups of a quantized linear in the forms that Hugging Face style files hold
// them.
#pragma once

#include "layouts/hf/bit_words.h"
#include "pare/quantized_linear.h"
#include "pare/tensor.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace pare::layout {

/// Which way scales and zeros [O, G] lie in a file.
enum class ScaleOrder : std::uint8_t { along_rows, down_columns };  // [O, G] or [G, O]

/// The codes as a grid [I, O]: what files hold that store weights transposed.
StridedCodes<const std::int8_t> input_grid(const quant::QuantizedLinear& q) noexcept;
/// Zeros [O, G], from `zero_codes`, as a grid [G, O].
StridedCodes<const std::int8_t> group_grid(const quant::QuantizedLinear& q,
                                           const std::vector<std::int8_t>& zeros) noexcept;

/// Zeros [O, G] less `less`, as codes of the linear's bits.
/// Errors: scheme_not_supported, naming row and group, for a zero that is no whole number or does
/// not fit; `lowest_hint` says what would do for the lowest code, where `less` leaves it without a
/// place.
std::vector<std::int8_t> zero_codes(const quant::QuantizedLinear& q, int less,
                                    std::string_view lowest_hint = "");

/// The scales in `dtype`. Errors: out_of_range, naming row and group, for a scale not finite
/// or not exact in it: rounding belongs before the codes are made, see hf_scale_rounding.h.
Tensor scale_tensor(const quant::QuantizedLinear& q, DType dtype, ScaleOrder lie);

/// The group of each column, I32 [I].
Tensor group_index_tensor(const quant::QuantizedLinear& q);

/// Values [G, O] as [O, G].
std::vector<float> by_rows(const std::vector<float>& values, std::int64_t groups,
                           std::int64_t rows);

}  // namespace pare::layout
