// A quantized model in another layout: the integers are carried over, never quantized again.
#pragma once

#include "core/context.h"
#include "core/params.h"
#include "pipeline/convert/linear.h"
#include "pipeline/convert/plan.h"
#include "pipeline/open/convert_source.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pare::pipeline {

struct ConvertJob {
  std::filesystem::path out;
  const layout::Layout* to = nullptr;
  ParamMap params;  // of the layout; defaults filled in
  bool overwrite = false;
};

/// How far float tensors moved: 0 where the layout keeps their type.
struct FloatDifference {
  std::size_t tensors = 0;  // whose values changed
  double worst = 0;
};

/// What decoding the source and what was written found.
struct ConvertVerdict {
  std::size_t tensors = 0;  // of the output, found with name, type and shape
  FitReport fitting;
  double weight_difference = 0;  // largest, over all weights of the linears
  FloatDifference floats;
};

struct ConvertResult {
  std::size_t linears = 0;
  std::size_t copied = 0;
  std::vector<DroppedTensor> dropped;
  std::size_t source_tensors = 0;  // stored ones, all accounted for
  std::size_t input_bytes = 0;     // of the weight files
  std::size_t output_bytes = 0;
  ConvertVerdict proof;
  double seconds_converting = 0;
  double seconds_verifying = 0;
  double seconds_total = 0;
  std::size_t peak_rss = 0;
};

/// Writes a complete folder, reads it again and holds it against what the source holds.
/// Memory: the largest float tensor, or linears of 128 Mi codes together.
/// Errors: bad_usage (the output is the source), output_exists, output_not_writable,
///         scheme_not_supported, out_of_range, not_finite, verify_failed, interrupted, those of the
///         source. On any error nothing stays on disk.
ConvertResult convert(const Context& ctx, const ConvertSource& source, const ConvertJob& job);

/// By the name of the linear.
using ExpectedLinears = std::map<std::string, ExpectedLinear, std::less<>>;

/// Opens the folder with the target's reader and decodes all of it. Linears must be those that were
/// meant, float tensors are held against the source once more.
/// Errors: verify_failed naming tensor and difference.
ConvertVerdict verify_conversion(const Context& ctx, const ConvertSource& source,
                              const ConvertPlan& plan, const ParamMap& params,
                              const ExpectedLinears& meant, const std::filesystem::path& folder);

/// Calls fn for every linear of the plan, in parallel as far as memory allows.
using LinearVisitor = std::function<void(const layout::LinearPlan&)>;
void for_each_linear(const Context& ctx, const layout::OutputPlan& plan, const std::string& stage,
                     const LinearVisitor& fn);

/// report.json as text, and lines for people.
std::string convert_report(const ConvertSource& source, const ConvertJob& job,
                           const ConvertResult& result);
std::vector<std::string> describe_conversion(const ConvertJob& job, const ConvertResult& result);

}  // namespace pare::pipeline
