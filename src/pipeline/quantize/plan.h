// Everything decided before the work begins; every refusal happens here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calib/sensitivity.h"
#include "calib/stats.h"
#include "core/context.h"
#include "layouts/layout.h"
#include "kernels/gemm.h"
#include "model/architecture.h"
#include "pipeline/quantize/job.h"
#include "pipeline/open/linears.h"
#include "text/datasets/dataset.h"

namespace pare::pipeline {

/// A source tensor that no output holds, and the rule that says so.
struct DroppedTensor {
  std::string name;
  std::string rule;
};

/// Where the bytes of one float output tensor come from.
struct CopiedTensor {
  std::string name;
  std::string source;
};

/// A float output tensor that smoothing makes: tensor `patch` of its block, once that is smoothed.
struct RewrittenTensor {
  std::string name;
  std::string patch;
  std::int64_t block = 0;
};

/// One folder that the run writes. All outputs of a run hold the same codes.
struct Output {
  const layout::Layout* layout = nullptr;
  std::string subfolder;  // of the job's; "" when it is the only output
  layout::OutputPlan plan;
  std::vector<CopiedTensor> copied;
  std::vector<RewrittenTensor> made;
  std::size_t bytes = 0;  // of all tensors

  std::filesystem::path under(const std::filesystem::path& folder) const {
    return subfolder.empty() ? folder : folder / subfolder;
  }
};

/// Peak memory by part, in bytes: the formula that --dry-run prints.
struct MemoryEstimate {
  std::size_t program = 0;      // the process itself, code and tables
  std::size_t copy = 0;         // the largest tensor that is copied as it is, before all else
  std::size_t hidden = 0;       // cached hidden states of all samples
  std::size_t block = 0;        // the packed block being run
  std::size_t forward = 0;      // working memory of one batch going through it; kept in between
  std::size_t statistics = 0;   // sampled rows, histograms
  std::size_t linear = 0;       // the largest linear while it is quantized and written
  std::size_t smoothing = 0;    // folded tensors of the block, and the search for their strength
  std::size_t total() const noexcept {
    return program + std::max(copy, hidden + block + statistics + forward + linear + smoothing);
  }
};

struct Plan {
  Job job;
  QuantSpec spec;
  std::shared_ptr<const containers::TensorSource> source;
  std::optional<model::ModelGraph> graph;  // nullopt: unknown architecture, weights only
  std::string model_label;                 // "LlamaForCausalLM"
  std::vector<LinearEntry> linears;
  std::vector<DroppedTensor> dropped;
  DType model_dtype = DType::f32;
  std::vector<Output> outputs;             // one for each format asked for
  std::optional<text::Dataset> calibration;
  calib::SensitivityScores scores;               // empty unless ranking was needed
  kernels::Compute compute = kernels::Compute::f32;
  MemoryEstimate memory;
  std::int64_t parameters = 0;
  std::size_t input_bytes = 0;             // of the weights
  double seconds_estimate = 0;
  double seconds_planning = 0;             // what making this plan took

  std::size_t quantized_count() const noexcept;
  std::int64_t quantized_weights() const noexcept;
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
