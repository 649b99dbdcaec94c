// A quantized model in another layout: the integers are carried over, never quantized again.
#pragma once

#include "pare/context.h"
#include "pare/job.h"
#include "pipeline/open/companions.h"
#include "pipeline/open/convert_source.h"
#include "pipeline/output/run.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace pare::pipeline {

struct ConvertJob {
  std::filesystem::path out;
  const layout::Layout* to = nullptr;
  ParamMap params;  // of the layout; defaults filled in
  bool overwrite = false;
};

struct ConvertResult {
  RunResult run;
  std::vector<layout::DroppedTensor> dropped;
  std::size_t copied = 0;
  std::size_t source_tensors = 0;  // stored ones, all accounted for
  std::size_t input_bytes = 0;     // of the weight files
  Companions companions;           // files that came along, and those that did not
  FitReport fit;                   // over all linears
  double weight_difference = 0;    // largest, over all weights of the linears

  const OutputRecord& output() const { return run.outputs.front(); }
};

/// Writes a complete folder, reads it again and holds it against what the source holds.
/// Memory: the largest float tensor, or linears of 128 Mi codes together.
/// Errors: bad_usage (the output is the source), output_exists, output_not_writable,
///         scheme_not_supported, out_of_range, not_finite, verify_failed, interrupted, those of the
///         source. On any error nothing stays on disk.
ConvertResult convert(const Context& ctx, const ConvertSource& source, const ConvertJob& job);

/// report.json as text, and lines for people.
std::string convert_report(const ConvertSource& source, const ConvertJob& job,
                           const ConvertResult& result);
std::vector<std::string> describe_conversion(const ConvertJob& job, const ConvertResult& result);

}  // namespace pare::pipeline
