// One linear on its way from one layout into another, and how far it moved.
#pragma once

#include "core/params.h"
#include "export/exporter.h"
#include "export/hf_scale_rounding.h"

#include <cstdint>

namespace pare::pipeline {

/// What was done to a linear so that a layout has a place for it.
struct Fitting {
  export_::ScaleRounding scales;
  std::int64_t refitted_groups = 0;  // quantized again, because the user allows it

  void add(const Fitting& other) noexcept;
};

/// Takes a linear as it was read over into what `planned` says and `exporter` needs: the scheme, a
/// bias that only quant_bias held, the types of scales and bias. Codes stay, unless `adapt` changes
/// groups. Errors: out_of_range for a scale or bias that does not fit its type.
Fitting fit_linear(export_::StoredLinear& stored, const export_::LinearPlan& planned,
                   const export_::Exporter& exporter, const ParamMap& params);

/// Largest distance between the weights that two linears of one shape stand for.
double weight_difference(const quant::QuantizedLinear& a, const quant::QuantizedLinear& b);

/// The same for weights [O, I] of a float tensor. `exact` is set to whether every weight is the
/// rounded one of the linear.
double weight_difference(const quant::QuantizedLinear& a, const TensorView& floats, bool& exact);

}  // namespace pare::pipeline
