// One linear on its way from one layout into another, and how far it moved.
#pragma once

#include "core/params.h"
#include "layouts/layout.h"
#include "layouts/scale_rounding.h"

#include <cstdint>
#include <optional>

namespace pare::pipeline {

/// What was done to a linear so that a layout has a place for it.
struct FitReport {
  layout::ScaleRounding scales;
  std::int64_t refitted_groups = 0;  // quantized again, because the user allows it

  void add(const FitReport& other) noexcept;
};

/// Takes a linear as it was read over into what `planned` says and `layout` needs: the scheme, a
/// bias that only quant_bias held, the types of scales and bias. Codes stay, unless `adapt` changes
/// groups. Errors: out_of_range for a scale or bias that does not fit its type.
FitReport fit_linear(layout::StoredLinear& stored, const layout::LinearPlan& planned,
                   const layout::Layout& layout, const ParamMap& params);

/// What the files must hold of one linear: kept instead of the linear, whose codes are large.
struct ExpectedLinear {
  std::uint64_t content = 0;  // content_hash of the linear as it was given to the writer
  std::optional<quant::ActivationParams> input;
  FitReport fitting;
  double weight_difference = 0;  // to the linear of the source
};

/// Reads a linear of the source, fits it, and measures how far that moved its weights.
/// Returns the linear to write. Errors: those of the source, and of fit_linear.
layout::StoredLinear prepare_linear(const layout::QuantizedCheckpoint& source,
                                     const layout::LinearPlan& planned,
                                     const layout::Layout& layout, const ParamMap& params,
                                     ExpectedLinear& meant);

/// Largest distance between the weights that two linears of one shape stand for.
double weight_difference(const quant::QuantizedLinear& a, const quant::QuantizedLinear& b);

/// The same for weights [O, I] of a float tensor. `exact` is set to whether every weight is the
/// rounded one of the linear.
double weight_difference(const quant::QuantizedLinear& a, const TensorView& floats, bool& exact);

}  // namespace pare::pipeline
