// One linear: from float weight to codes, measured and handed to the layout.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "calib/stats.h"
#include "layouts/layout.h"
#include "model/block.h"
#include "pipeline/quantize/quantize.h"

namespace pare::pipeline {

/// Reports finished linears and keeps the worst one so far for the progress line.
class LinearLog {
 public:
  LinearLog(const Context& ctx, std::int64_t total) : ctx_(ctx), total_(total) {}
  /// Threads: any.
  void done(const LinearResult& result);

 private:
  const Context& ctx_;
  std::int64_t total_;
  std::mutex mutex_;
  std::int64_t count_ = 0;
  double worst_db_ = 1e9;
  std::string worst_;
};

/// Parameters of a static activation from an observed range, exact in the type they are stored in.
/// Errors: out_of_range when the scale does not fit the type.
quant::ActivationParams activation_params(calib::Range range, DType stored);

/// The float tensors a linear is quantized from: the source's, or what smoothing made of them.
struct FloatLinear {
  TensorView weight;
  std::optional<TensorView> bias;
};
/// `patches` may be null. The views are valid as long as source and patches are.
FloatLinear float_linear(const Plan& plan, const LinearEntry& linear,
                         const model::PatchedWeights* patches = nullptr);

/// Quantizes one linear of the plan; name and bias are filled in.
/// Errors: not_finite and others of the method, naming the linear.
quant::QuantizedLinear quantize_linear(const Context& ctx, const Plan& plan,
                                       const LinearEntry& linear, const FloatLinear& source);

/// Everything known without running the model; distortion is against `source`.
LinearResult weight_result(const Context& ctx, const LinearEntry& linear, const FloatLinear& source,
                           const quant::QuantizedLinear& quantized);

/// The linear as the output will compute it, packed.
model::Linear pack_quantized(const Context& ctx, const quant::QuantizedLinear& quantized,
                             kernels::Compute compute);

/// How far the outputs of two linears are apart on the sampled rows.
quant::Distortion output_distortion(const Context& ctx, const model::Linear& original,
                                    const model::Linear& quantized,
                                    const calib::SiteStats& stats);

}  // namespace pare::pipeline
