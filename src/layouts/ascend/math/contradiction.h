// What follows from the codes and scales of a linear in Ascend's files, held against what they say.
#pragma once

#include "layouts/layout.h"

#include <string>

namespace pare::layout {

/// quant_bias, deq_scale and scale_bias must be there as if computed from codes, scales and bias
/// again. "" when they are, else which differ.
std::string contradiction(const LoadedLinear& linear);

}  // namespace pare::layout
