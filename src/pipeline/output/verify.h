// Reads an output folder back and holds it against what was meant.
#pragma once

#include <filesystem>
#include <vector>

#include "pipeline/quantize/quantize.h"

namespace pare::pipeline {

/// What follows from codes, scales and bias (quant_bias, deq_scale, scale_bias) must be there as if
/// computed from them again. Errors: verify_failed.
void check_derived(const layout::StoredLinear& stored);

/// Opens the `folder` of an output of the plan with its layout's own reader and checks: every planned tensor is there with its
/// type and shape, copied tensors have the source's bytes, every linear has the codes, scales and
/// bias that were meant, what follows from them (quant_bias, deq_scale, scale_bias) does, scales are
/// finite, and each weight lies within its step of the source.
/// Returns how many tensors were checked. Errors: verify_failed naming tensor and difference.
std::size_t verify_output(const Context& ctx, const Plan& plan, std::size_t output,
                          const std::vector<LinearResult>& meant,
                          const std::filesystem::path& folder);

}  // namespace pare::pipeline
