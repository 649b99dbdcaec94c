// Parameters that the sparse methods share, and what they say about them.
#pragma once

#include "core/params.h"

#include <string>

namespace pare::quant {

// Source of the useful range: the share of outliers trades size after compression for accuracy;
// below 0.01 rows lose their large weights, above 0.1 little is left to compress.
inline constexpr ParamSpec kFractionParam = {
    .name = "fraction",
    .type = ParamType::number,
    .default_value = "0.01",
    .min = 0,
    .max = 0.999999,
    .help = "share of weights that are outliers; useful from 0.01 (small) to 0.1 (accurate)"};

/// A warning for a fraction outside the useful range, else "".
std::string fraction_warning(const ParamMap& params);

}  // namespace pare::quant
