// What the codes of a plan will look like, from a few rows of its linears: for --dry-run.
#pragma once

#include "pare/context.h"
#include "pipeline/output/code_stats.h"
#include "pipeline/quantize/plan.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace pare::pipeline {

struct CodeSample {
  CodeStats stats;               // means over the sampled linears
  std::size_t linears = 0;       // that were sampled
  std::size_t stored_bytes = 0;  // of all codes, as the first output stores them
  std::size_t packed_bytes = 0;  // of all codes, compressed
};

/// Quantizes the first rows of linears spread over the model with the plan's own method. Limits
/// that a method takes from the whole tensor come from those rows, and smoothing is left out: an
/// estimate. nullopt when the method needs more than weights. Errors: those of the method, naming
/// the linear.
std::optional<CodeSample> sample_codes(const Context& ctx, const Plan& plan);

/// Bytes of all codes as the output stores them: of each linear its largest tensor.
std::size_t stored_code_bytes(const Plan& plan, const layout::OutputPlan& output);

/// Lines for people.
std::vector<std::string> describe_codes(const Plan& plan, const CodeSample& sample);

}  // namespace pare::pipeline
