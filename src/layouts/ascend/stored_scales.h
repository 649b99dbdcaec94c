// The scales of a quantized linear, read back from the tensors of each kind of scheme.
#pragma once

#include "layouts/ascend/ascend_parts.h"
#include "quant/named_schemes.h"

#include <cstdint>
#include <vector>

namespace pare::layout {

/// The part whose shape says how scales lie over the matrix.
Part scale_part(const quant::NamedScheme& scheme) noexcept;

/// What static activations are stored with; both empty for others.
struct StaticParts {
  std::vector<float> deq;
  std::vector<std::int32_t> quant_bias;
};

/// Fills scales, zeros, row_scales, scale_dtype, power, symmetric and, for static activations,
/// input, of a linear whose sizes, granularity and codes are known.
/// Errors: as read_linear.
StaticParts read_scales(const AscendParts& found, quant::QuantizedLinear& q);

/// scale_bias as stored, [O, runs], held against the codes and scales; empty when there is none.
/// Errors: tensor_mismatch; bad_description when a value is not the sum it must be.
std::vector<float> read_scale_bias(const AscendParts& found, const quant::QuantizedLinear& q);

}  // namespace pare::layout
