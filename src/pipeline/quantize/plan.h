// Everything decided before the work begins; every refusal happens here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calib/sensitivity.h"
#include "calib/stats.h"
#include "pare/context.h"
#include "layouts/output_plan.h"
#include "kernels/gemm.h"
#include "model/architecture.h"
#include "pipeline/quantize/job.h"
#include "pipeline/open/companions.h"
#include "pipeline/open/linear_selection.h"
#include "text/datasets/dataset.h"
#include "transform/transform.h"

namespace pare::pipeline {

/// A transform of the run, and what it will change.
struct PlannedTransform {
  const transform::Transform* transform = nullptr;
  bool adds_biases = false;  // every output has a place for them
  transform::SampleSize samples;
  std::vector<std::vector<transform::ScaleGroup>> groups;  // of each block
};

/// Peak memory by part, in bytes: the formula that --dry-run prints.
struct MemoryEstimate {
  std::size_t program = 0;      // the process itself, code and tables
  std::size_t tokenizer = 0;    // while it is read, before all else
  std::size_t copy = 0;         // pieces of the largest tensor that is copied as it is
  std::size_t verify = 0;       // linears being read back
  std::size_t hidden = 0;       // cached hidden states of all samples
  std::size_t block = 0;        // the packed block being run
  std::size_t forward = 0;      // working memory of one batch going through it; kept in between
  std::size_t statistics = 0;   // sampled rows, histograms
  std::size_t linear = 0;       // the largest linear while it is quantized and written
  std::size_t transforms = 0;   // changed tensors of the block, and searches for how to change them
  std::size_t gram = 0;         // Gram matrices of a block's inputs, for methods that need them
  std::size_t total() const noexcept {
    return program +
           std::max({tokenizer, copy, verify,
                     hidden + block + statistics + forward + linear + transforms + gram});
  }
};

struct Plan {
  Job job;
  QuantSpec spec;
  std::shared_ptr<const containers::TensorSource> source;
  std::optional<model::ModelGraph> graph;  // nullopt: unknown architecture, weights only
  std::string model_label;                 // "LlamaForCausalLM"
  LinearSelection linears;
  DType model_dtype = DType::f32;
  std::vector<PlannedTransform> transforms;
  /// Modules that transforms change, and the block they belong to.
  std::map<std::string, std::int64_t> rewritten;
  std::vector<layout::OutputPlan> outputs;  // one for each format asked for; all hold the same codes
  std::optional<text::Dataset> calibration;
  Companions companions;                   // files that come along, and those that do not
  calib::SensitivityScores scores;         // empty unless ranking was needed
  kernels::Compute compute = kernels::Compute::f32;
  MemoryEstimate memory;
  std::int64_t parameters = 0;
  std::size_t input_bytes = 0;             // of the weights
  double seconds_estimate = 0;
  double seconds_planning = 0;             // what making this plan took

  bool needs_activation_ranges() const noexcept {
    return spec.scheme.activations == quant::Activations::static_tensor;
  }
  bool needs_gram() const noexcept { return spec.method->needs == quant::Needs::gram; }
  bool has_exponent() const {
    return spec.method->has_exponent != nullptr && spec.method->has_exponent(job.params);
  }
  std::size_t output_bytes() const noexcept;  // of all outputs
};

/// Input rows kept per site to measure output distortion.
inline constexpr std::int64_t kSampleRows = 256;

/// Errors: all of the job's, the model's and the data's; memory_limit.
Plan make_plan(const Context& ctx, const Job& job);

/// Lines about the data alone.
std::vector<std::string> describe_calibration(const text::Dataset& data);

/// Lines for people: what will be done, what is kept and why, size, memory, time.
std::vector<std::string> describe(const Plan& plan);

}  // namespace pare::pipeline
