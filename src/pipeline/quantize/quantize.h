// Carries a plan out: quantizes, writes, reads back, reports, renames into place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/context.h"
#include "pipeline/quantize/code_stats.h"
#include "pipeline/quantize/plan.h"
#include "quant/distortion.h"
#include "transform/smooth_block.h"

namespace pare::pipeline {

/// What is known of one quantized linear when it is done.
struct LinearResult {
  std::string name;
  std::int64_t out = 0;
  std::int64_t in = 0;
  quant::Distortion weight;
  std::optional<quant::Distortion> output;  // on sampled calibration rows
  std::optional<quant::ActivationParams> input;
  double bits_per_weight = 0;               // codes, scales and zeros
  CodeStats codes;
  double error_bound = 0;                   // what rounding to the grid can explain
  std::vector<std::uint64_t> contents;      // written_content of each output
};

/// A float tensor that was made, not copied.
struct WrittenTensor {
  std::string name;
  std::uint64_t values = 0;  // hash of its values as f32
};

/// What became of one output of the plan.
struct OutputResult {
  std::vector<WrittenTensor> made;    // and biases of smoothed linears
  std::vector<std::string> files;
  std::size_t bytes = 0;              // of the weight files as they lie on disk
  double effective_bits = 0;          // bytes * 8 / parameters
  std::size_t verified_tensors = 0;
};

struct QuantizeResult {
  std::vector<LinearResult> linears;        // in the order of the model
  std::vector<transform::SmoothedNorm> smoothed;
  std::vector<OutputResult> outputs;        // in the order of the plan's
  double seconds_planning = 0;
  double seconds_quantizing = 0;
  double seconds_verifying = 0;
  double seconds_total = 0;
  std::size_t peak_rss = 0;
};

/// Errors: those of reading and writing; not_finite; verify_failed; interrupted. On any error
/// nothing stays on disk.
QuantizeResult run_plan(const Context& ctx, const Plan& plan);

/// Hash of what files hold of a quantized linear, equal for equal codes, scales, zeros, power and
/// bias. Of sparse linears with activation parameters: the products with the input scale.
std::uint64_t content_hash(const quant::QuantizedLinear& linear);

}  // namespace pare::pipeline
