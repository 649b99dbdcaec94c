// What the sparse methods share: a parameter, and how their results begin and end.
#pragma once

#include "pare/job.h"
#include "pare/quantized_linear.h"
#include "quant/sparse/outliers.h"

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

OutlierOptions outlier_options(const Scheme& scheme, const ParamMap& params);

/// A linear [O, I] with room for codes and scales. Sparse files hold no weight scale, only what
/// follows from it, so scales stay f32.
QuantizedLinear empty_sparse(const TensorView& weight, const Scheme& scheme);

/// The inliers' scales: one for each row, or the one that all rows have.
void keep_scales(const OutlierGrids& grids, QuantizedLinear& q);

}  // namespace pare::quant
