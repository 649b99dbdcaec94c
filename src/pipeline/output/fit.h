// A linear taken into what a layout stores: the one place where types change.
#pragma once

#include "layouts/output_plan.h"
#include "pare/job.h"
#include "pipeline/output/record.h"

#include <cstdint>
#include <span>

namespace pare::pipeline {

/// Whether a linear is what was planned already.
bool fits(const quant::QuantizedLinear& linear, const quant::LinearHeader& planned) noexcept;

/// Makes the linear what was planned for a layout: scheme, types of scales and bias. Codes stay.
/// Errors: out_of_range for a scale or bias that does not fit its type.
layout::ScaleRounding fit(quant::QuantizedLinear& linear, const quant::LinearHeader& planned,
                          const layout::Layout& layout);

/// Lets every layout change groups of codes that it has no place for, as far as `params` allow it.
/// Returns their number. Errors: those of the layouts.
std::int64_t adapt(quant::QuantizedLinear& linear, std::span<const layout::OutputPlan> outputs,
                   const ParamMap& params);

}  // namespace pare::pipeline
