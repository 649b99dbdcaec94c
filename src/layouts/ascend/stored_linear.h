// A quantized linear put together again from its tensors; everything is checked before it is used.
#pragma once

#include "layouts/ascend/ascend_parts.h"
#include "layouts/layout.h"

namespace pare::layout {

/// The parts that the scheme needs must be there.
/// Math: sizes come from weight_scale (two stages: weight_scale_second; sparse: deq_scale): [O, G]
///       with G > 1 is per group, [O, 1] or [O] per channel, [1] for more than one row per tensor.
///       A linear is symmetric when all its zeros are 0. Sparse scales are deq_scale / input_scale.
/// Errors: tensor_mismatch for types, shapes and values that cannot be; not_finite; bad_description
///         when group_size, deq_scale, scale_bias and the scales contradict each other. All name
///         the module.
LoadedLinear read_linear(const AscendParts& found);

/// The same without a look at the codes.
quant::LinearHeader read_linear_header(const AscendParts& found);

}  // namespace pare::layout
