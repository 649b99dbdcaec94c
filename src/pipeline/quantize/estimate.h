// Memory and time of a plan, before it is carried out.
#pragma once

#include "pipeline/quantize/plan.h"

namespace pare::pipeline {

/// Peak memory by part. Source: docs/ARCHITECTURE.md, "Memory".
MemoryEstimate estimate_memory(const Plan& plan, int threads);

/// Seconds, from a probe of this machine that takes well under a second.
double estimate_seconds(const Context& ctx, const Plan& plan);

}  // namespace pare::pipeline
