// What a quantization places into its outputs: every source tensor is quantized, copied, rewritten
// by a transform, or dropped by a named rule.
#pragma once

#include "pipeline/output/inventory.h"
#include "pipeline/quantize/plan.h"

namespace pare::pipeline {

/// The model's dtype: config.json's when stated, else that of the first linear's weight.
DType find_model_dtype(const Plan& plan);

/// The type that weight scales are made exact in: of those that the outputs store, the one with the
/// fewest digits, so that all hold the same.
DType scale_dtype(const QuantSpec& spec, DType weight) noexcept;

/// A linear's score in the ranking; 0 when it was not seen.
float score_of(const calib::SensitivityScores& scores, const model::Module& linear) noexcept;

/// What will be said of a linear, in the types of the source.
quant::LinearHeader header_of(const Plan& plan, const model::Module& linear);

FloatSource float_source(const Plan& plan);

/// Weights of a tied head that the source holds as a tensor of its own: no parameters of the model.
std::int64_t copied_head_weights(const model::ModelGraph& graph,
                                 const containers::TensorSource& source);

/// Fills `outputs`, one for every format. Errors: scheme_not_supported when a layout cannot hold a
/// linear or tensor.
void plan_outputs(Plan& plan);

}  // namespace pare::pipeline
