// Which transforms a plan makes use of, and what they change.
#pragma once

#include "pipeline/quantize/plan.h"

#include <cstdint>

namespace pare::pipeline {

/// Lets every transform look at the parameters. Errors: bad_option_value, scheme_not_supported.
void check_transforms(const Plan& plan);

/// Fills `transforms` and `rewritten`: the groups that some quantized linear belongs to.
void plan_transforms(Plan& plan);

/// What a transform is told. Valid as long as the plan.
transform::TransformJob transform_job(const Plan& plan, const PlannedTransform& planned);

/// The part of a plan's memory that transforms need, and their multiply-adds. A search ends before
/// the statistics and the linear of a block are there, `not_there_yet` bytes: only what it takes
/// beyond them counts.
std::size_t transform_bytes(const Plan& plan, std::size_t not_there_yet);
double transform_products(const Plan& plan);

}  // namespace pare::pipeline
