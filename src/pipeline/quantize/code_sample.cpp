#include "pipeline/quantize/code_sample.h"

#include "layouts/layout.h"
#include "pare/job.h"
#include "pipeline/quantize/linear_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace pare::pipeline {
namespace {

constexpr std::int64_t kRows = 64;
constexpr std::size_t kLinears = 64;

/// At most kLinears of those that will be quantized, evenly spread over the model.
std::vector<model::Module> choose_linears(const Plan& plan) {
  const std::vector<model::Module> all = plan.linears.quantized();
  std::vector<model::Module> chosen;
  const std::size_t count = std::min(kLinears, all.size());
  for (std::size_t i = 0; i < count; ++i)
    chosen.push_back(all[i * all.size() / count]);
  return chosen;
}

CodeStats sample_linear(const Context& ctx, const Plan& plan, const model::Module& linear) {
  const model::FloatWeights weights(*plan.source);
  const std::int64_t rows = std::min(kRows, linear.out());
  quant::FloatLinear first;
  first.weight = rows_of(weights.linear(ctx, linear).weight, 0, rows);
  const quant::QuantizedLinear quantized = quantize_linear(ctx, plan, linear, first);
  weights.release(linear);
  return code_stats(count_codes(ctx, quantized.codes));
}

}  // namespace

std::optional<CodeSample> sample_codes(const Context& ctx, const Plan& plan) {
  if (plan.spec.method->needs != quant::Needs::weights_only) return std::nullopt;
  CodeTotals totals;
  const std::vector<model::Module> linears = choose_linears(plan);
  for (const model::Module& linear : linears) {
    ctx.check_cancelled();
    totals.add(sample_linear(ctx, plan, linear), linear.weights());
  }
  return CodeSample{.stats = totals.mean(),
                    .linears = linears.size(),
                    .stored_bytes = stored_code_bytes(plan, plan.outputs.front()),
                    .packed_bytes = totals.packed_bytes(plan.linears.quantized_weights())};
}

std::size_t stored_code_bytes(const Plan& plan, const layout::OutputPlan& output) {
  std::map<std::string, std::size_t> largest;  // tensor of each quantized linear
  for (const model::Module& linear : plan.linears.quantized()) largest[linear.name] = 0;
  for (const containers::TensorInfo& info : output.layout->declare(output, plan.job.params)) {
    const auto found = largest.find(model::module_of(info.name));
    if (found != largest.end()) found->second = std::max(found->second, info.nbytes());
  }
  std::size_t sum = 0;
  for (const auto& [name, bytes] : largest) sum += bytes;
  return sum;
}

std::vector<std::string> describe_codes(const Plan& plan, const CodeSample& sample) {
  const bool sparse = plan.spec.scheme.form == quant::CodeForm::outliers;
  return {
      fmt::format("  codes      {} (first {} rows of {} linears); compressed about {} instead "
                  "of {}",
                  code_stats_text(sample.stats, sparse), kRows, sample.linears,
                  human_bytes(sample.packed_bytes), human_bytes(sample.stored_bytes))};
}

}  // namespace pare::pipeline
