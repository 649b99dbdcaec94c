// The plan of a conversion: every tensor of the source gets a place, or it is refused.
#pragma once

#include "pipeline/convert/inventory.h"

#include <string>

namespace pare::pipeline {

/// Errors: scheme_not_supported with the reason, and with the formats that hold the model exactly.
layout::OutputPlan plan_conversion(const Inventory& inventory, const ConvertSource& source,
                                   const layout::Layout& layout);

/// A reason that names options of `pare quantize`, in the words of `pare convert`.
std::string in_words_of_convert(std::string reason);

}  // namespace pare::pipeline
