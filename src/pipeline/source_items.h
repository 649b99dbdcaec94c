// Accounts for every source tensor: quantized, copied, or dropped by a named rule.
#pragma once

#include "pipeline/plan.h"

namespace pare::pipeline {

/// The model's dtype: config.json's when stated, else that of the first linear's weight.
DType model_dtype(const Plan& plan);

/// The type of weight scales: the format's when it has one; else that of the weight, as msModelSlim
/// stores them, but F32 where it does so too (two stages), and where no file holds them (sparse).
DType scale_dtype(const Intent& intent, DType weight) noexcept;

/// A linear's score in the ranking; 0 when it was not seen.
float score_of(const calib::RangeScores& scores, const LinearEntry& linear) noexcept;

/// Fills output (items, type, group size), copied, dropped and output_bytes.
/// Errors: scheme_not_supported when the exporter cannot hold a linear's shape.
void fill_output(Plan& plan);

}  // namespace pare::pipeline
