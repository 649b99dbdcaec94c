// The calibrated walk: block by block, statistics first, then codes, then the quantized block's
// outputs become the next block's inputs.
#pragma once

#include <vector>

#include "pipeline/quantize/linear_step.h"
#include "pipeline/output/output_writers.h"

namespace pare::pipeline {

/// Quantizes every linear of the plan that is not kept and puts it into `writers`, and so every
/// tensor that smoothing makes. Fills linears and smoothed of the result, and made of its outputs.
/// Memory: one packed block, the hidden states of all samples, one linear in hand.
void run_calibrated(const Context& ctx, const Plan& plan, OutputWriters& writers,
                    QuantizeResult& result);

/// The same without running the model: needs no calibration data.
std::vector<LinearResult> run_data_free(const Context& ctx, const Plan& plan,
                                        OutputWriters& writers);

}  // namespace pare::pipeline
