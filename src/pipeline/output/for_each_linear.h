// All linears of an output in parallel, as far as memory allows.
#pragma once

#include "layouts/output_plan.h"
#include "pare/context.h"

#include <cstddef>
#include <functional>
#include <string>

namespace pare::pipeline {

/// Codes in hand at a time, over all threads; one linear may be larger.
inline constexpr std::size_t kCodesInHand = std::size_t{128} << 20;

using LinearVisitor = std::function<void(const quant::LinearHeader&)>;

/// Calls fn for every linear of the plan, in parallel or `in_order`, with at most kCodesInHand.
/// Errors: those of fn; interrupted.
void for_each_linear(const Context& ctx, const layout::OutputPlan& plan, const std::string& stage,
                     const LinearVisitor& fn, bool in_order = false);

}  // namespace pare::pipeline
