#include "pipeline/quantize/code_sample.h"

#include "pipeline/quantize/linear_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace pare::pipeline {
namespace {

constexpr std::int64_t kRows = 64;
constexpr std::size_t kLinears = 64;

/// At most kLinears of those that will be quantized, evenly spread over the model.
std::vector<const LinearEntry*> choose_linears(const Plan& plan) {
  std::vector<const LinearEntry*> all;
  for (const LinearEntry& linear : plan.linears) {
    if (linear.quantized()) all.push_back(&linear);
  }
  std::vector<const LinearEntry*> chosen;
  const std::size_t count = std::min(kLinears, all.size());
  for (std::size_t i = 0; i < count; ++i)
    chosen.push_back(all[i * all.size() / count]);
  return chosen;
}

CodeStats sample_linear(const Context& ctx, const Plan& plan, const LinearEntry& linear) {
  const TensorView whole = float_linear(plan, linear).weight;
  const std::int64_t rows = std::min(kRows, linear.out);
  const auto bytes = static_cast<std::size_t>(rows * linear.in) * size_of(whole.dtype);
  const FloatLinear first{.weight = {whole.dtype, {rows, linear.in}, whole.data.first(bytes)},
                          .bias = std::nullopt};
  const quant::QuantizedLinear quantized = quantize_linear(ctx, plan, linear, first);
  plan.source->release(linear.weight_source);
  return code_stats(count_codes(ctx, quantized.codes));
}

}  // namespace

std::optional<CodeSample> sample_codes(const Context& ctx, const Plan& plan) {
  if (plan.spec.method->needs != quant::Needs::weights_only) return std::nullopt;
  CodeTotals totals;
  const std::vector<const LinearEntry*> linears = choose_linears(plan);
  for (const LinearEntry* linear : linears) {
    ctx.check_cancelled();
    totals.add(sample_linear(ctx, plan, *linear), linear->weights());
  }
  return CodeSample{.stats = totals.mean(),
                    .linears = linears.size(),
                    .stored_bytes = stored_code_bytes(plan, plan.outputs.front()),
                    .packed_bytes = totals.packed_bytes(plan.quantized_weights())};
}

std::size_t stored_code_bytes(const Plan& plan, const Output& output) {
  std::map<std::string, std::size_t> largest;  // tensor of each quantized linear
  for (const LinearEntry& linear : plan.linears) {
    if (linear.quantized()) largest[linear.name] = 0;
  }
  for (const containers::TensorInfo& info : output.layout->declare(output.plan, plan.job.params)) {
    const auto found = largest.find(info.name.substr(0, info.name.rfind('.')));
    if (found != largest.end()) found->second = std::max(found->second, info.nbytes());
  }
  std::size_t sum = 0;
  for (const auto& [name, bytes] : largest) sum += bytes;
  return sum;
}

std::vector<std::string> describe_codes(const Plan& plan, const CodeSample& sample) {
  const bool sparse = plan.spec.scheme.grid == quant::CodeForm::outliers;
  return {
      fmt::format("  codes      {} (first {} rows of {} linears); compressed about {} instead "
                  "of {}",
                  code_stats_text(sample.stats, sparse), kRows, sample.linears,
                  human_bytes(sample.packed_bytes), human_bytes(sample.stored_bytes))};
}

}  // namespace pare::pipeline
