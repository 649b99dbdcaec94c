// Carries a plan out: the codes come from floats, block by block or linear by linear.
#pragma once

#include "pare/context.h"
#include "pipeline/output/run.h"
#include "pipeline/quantize/plan.h"

#include <cstdint>
#include <vector>

namespace pare::pipeline {

struct QuantizeResult {
  RunResult run;
  std::vector<transform::TransformedGroup> transformed;
  double seconds_planning = 0;

  double seconds_total() const noexcept { return seconds_planning + run.seconds_total; }
};

/// Bits per parameter of one output, over all its files.
double effective_bits(const Plan& plan, const OutputRecord& output) noexcept;

/// Errors: those of reading and writing; not_finite; verify_failed; interrupted. On any error
/// nothing stays on disk.
QuantizeResult run_plan(const Context& ctx, const Plan& plan);

}  // namespace pare::pipeline
