// All linears of an output in parallel, as far as memory allows.
#pragma once

#include "layouts/output_plan.h"
#include "pare/context.h"

#include <functional>
#include <string>

namespace pare::pipeline {

using LinearVisitor = std::function<void(const quant::LinearHeader&)>;

/// Calls fn for every linear of the plan, in parallel or `in_order`; no more than 128 Mi codes are
/// in hand at a time, unless one linear has more. Errors: those of fn; interrupted.
void for_each_linear(const Context& ctx, const layout::OutputPlan& plan, const std::string& stage,
                     const LinearVisitor& fn, bool in_order = false);

}  // namespace pare::pipeline
