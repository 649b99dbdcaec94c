// Which linears a fallback level keeps in float.
#pragma once

#include "pipeline/quantize/plan.h"

namespace pare::pipeline {

/// Ranks the inputs of linears when the fallback level or the automatic observer asks for it: fills
/// plan.scores, and keeps the linears that `disable_level` names. Without calibration data a level
/// has no effect and is warned of.
/// Source: docs/formats/ascend.md, "Fallback level".
void apply_fallback_level(const Context& ctx, Plan& plan);

}  // namespace pare::pipeline
