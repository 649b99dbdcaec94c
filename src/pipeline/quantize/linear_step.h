// One linear: from float weight to codes, measured and handed to the layout.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "calib/stats.h"
#include "model/block.h"
#include "pipeline/output/run_outputs.h"
#include "pipeline/quantize/plan.h"

namespace pare::pipeline {

/// Reports finished linears and keeps the worst one so far for the progress line.
class LinearLog {
 public:
  LinearLog(const Context& ctx, std::int64_t total) : ctx_(ctx), total_(total) {}
  /// Threads: any.
  void done(const LinearRecord& record);

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

/// Quantizes one linear of the plan; its header says what the inventory does, but for the type of
/// the scales, which is the narrowest of all outputs. `stats` may be null.
/// Errors: not_finite and others of the method, naming the linear.
quant::QuantizedLinear quantize_linear(const Context& ctx, const Plan& plan,
                                       const model::Module& linear,
                                       const quant::FloatLinear& source,
                                       const quant::InputStats* stats = nullptr);

/// Lets the layouts change what they have no place for, as far as the user allows it. Returns
/// everything known without running the model; distortion is against `source`.
LinearRecord finish_linear(const Context& ctx, const Plan& plan, const quant::FloatLinear& source,
                           quant::QuantizedLinear& quantized);

/// Gives every linear of the plan that is not kept to `outputs`, without running the model.
void quantize_without_data(const Context& ctx, const Plan& plan, RunOutputs& outputs);

/// The linear as the output will compute it, packed.
model::Linear pack_quantized(const Context& ctx, const quant::QuantizedLinear& quantized,
                             kernels::Compute compute);

/// How far the outputs of two linears are apart on the sampled rows.
quant::Distortion output_distortion(const Context& ctx, const model::Linear& original,
                                    const model::Linear& quantized,
                                    const calib::SiteStats& stats);

}  // namespace pare::pipeline
