// The calibrated walk: block by block, statistics first, then codes, then the quantized block's
// outputs become the next block's inputs.
#pragma once

#include "pipeline/output/run_outputs.h"
#include "pipeline/quantize/plan.h"

#include <vector>

namespace pare::pipeline {

/// Gives every linear of the plan that is not kept to `outputs`, and every tensor that transforms
/// make. Returns what was transformed.
/// Memory: one packed block, the hidden states of all samples, one linear in hand.
std::vector<transform::TransformedGroup> quantize_block_by_block(const Context& ctx,
                                                                 const Plan& plan,
                                                                 RunOutputs& outputs);

}  // namespace pare::pipeline
