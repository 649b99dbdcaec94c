// What a quantized source holds, in the order of the model.
#pragma once

#include "layouts/layout.h"
#include "pare/context.h"
#include "pipeline/open/convert_source.h"
#include "pipeline/output/inventory.h"

namespace pare::pipeline {

/// From headers, scales, zeros and groups alone, and from a tied head that is there twice. Linears
/// of one model that differ by what their zeros or one-group sizes happen to be are given one
/// scheme, since most layouts state one for all. Errors: those of the source; interrupted.
Inventory read_inventory(const Context& ctx, const ConvertSource& source);

/// Float tensors of the source, under the names that its reader gives them.
FloatSource float_source(const layout::QuantizedCheckpoint& checkpoint);

}  // namespace pare::pipeline
