// Reads an output folder back and holds it against what was meant.
#pragma once

#include "pare/context.h"
#include "pipeline/output/record.h"
#include "pipeline/output/run_plan.h"

#include <cstddef>
#include <filesystem>
#include <vector>

namespace pare::pipeline {

/// Opens the folder of output `index` with its layout's own reader and checks: every tensor is
/// there with its type and shape and no other is; copied tensors have the values of the source,
/// rewritten ones those that were made; every linear has the codes, scales and bias that were
/// meant, and what follows from them (quant_bias, deq_scale, scale_bias); scales are finite; each
/// weight lies within its error bound. Fills `record` with what was found. Errors: verify_failed
/// naming tensor and difference.
void verify_output(const Context& ctx, const RunPlan& plan, std::size_t index,
                   const std::vector<LinearRecord>& linears, const std::filesystem::path& folder,
                   OutputRecord& record);

}  // namespace pare::pipeline
