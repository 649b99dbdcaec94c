// Accounts for every source tensor: quantized, copied, or dropped by a named rule.
#pragma once

#include "pipeline/quantize/plan.h"

namespace pare::pipeline {

/// The model's dtype: config.json's when stated, else that of the first linear's weight.
DType find_model_dtype(const Plan& plan);

/// The type that weight scales are made exact in: of those that the outputs store, the one with the
/// fewest digits, so that all hold the same.
DType scale_dtype(const QuantSpec& spec, DType weight) noexcept;

/// A linear's score in the ranking; 0 when it was not seen.
float score_of(const calib::SensitivityScores& scores, const LinearEntry& linear) noexcept;

/// Fills `dropped` and an output for every format: items, type, group size, where tensors come from.
/// Errors: scheme_not_supported when an layout cannot hold a linear's shape.
void fill_outputs(Plan& plan);

}  // namespace pare::pipeline
