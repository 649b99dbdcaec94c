// How a plan smooths: which norms, on which samples, with what in mind.
#pragma once

#include "pipeline/quantize/plan.h"
#include "transform/smooth_block.h"

#include <cstdint>
#include <vector>

namespace pare::pipeline {

/// Refuses parameters that contradict each other or the scheme.
/// Errors: bad_option_value, scheme_not_supported.
void check_smoothing(const ParamMap& params, const QuantSpec& spec);

/// Sites of a block that are smoothed: all whose norm some quantized linear reads, or none.
std::vector<model::Site> smoothed_sites(const Plan& plan, std::int64_t block);

/// Tokens of the samples that smoothing looks at, and rows of them that its search tries.
std::int64_t smooth_tokens(const Plan& plan);
std::int64_t smooth_rows(const Plan& plan);

transform::SmoothSettings smooth_settings(const Plan& plan);

/// Whether smoothing gives norms and linears a bias: every output must have a place for it.
bool smoothing_shifts(const Plan& plan);

}  // namespace pare::pipeline
