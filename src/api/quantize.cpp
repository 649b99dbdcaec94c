// Quantization, from a job to its report.
#include "pare/quantize.h"

#include "io/json.h"
#include "pare/error.h"
#include "pipeline/open/model_path.h"
#include "pipeline/quantize/code_sample.h"
#include "pipeline/quantize/job.h"
#include "pipeline/quantize/plan.h"
#include "pipeline/quantize/quantize.h"
#include "pipeline/quantize/recipe.h"
#include "pipeline/quantize/report.h"

#include <fmt/format.h>

#include <utility>

namespace pare {
namespace {

PlanFigures figures_of(const pipeline::Plan& plan) {
  PlanFigures figures{.model = plan.model_label,
                      .scheme = plan.spec.scheme.text(),
                      .linears = plan.linears.all().size(),
                      .quantized = plan.linears.quantized_count(),
                      .input_bytes = plan.input_bytes,
                      .output_bytes = plan.output_bytes(),
                      .memory_bytes = plan.memory.total(),
                      .seconds = plan.seconds_estimate,
                      .ids_sha256 = {}};
  if (plan.calibration.has_value()) {
    figures.samples = plan.calibration->sequences.size();
    figures.tokens = plan.calibration->tokens();
    figures.ids_sha256 = plan.calibration->ids_sha256;
  }
  return figures;
}

io::Json plan_event(const PlanFigures& figures, bool calibrated) {
  io::Json event = {{"model", figures.model},
                    {"scheme", figures.scheme},
                    {"linears", figures.linears},
                    {"quantized", figures.quantized},
                    {"input_bytes", figures.input_bytes},
                    {"output_bytes", figures.output_bytes},
                    {"memory_bytes", figures.memory_bytes},
                    {"seconds", figures.seconds}};
  if (calibrated) {
    event["calibration"] = {{"samples", figures.samples},
                            {"tokens", figures.tokens},
                            {"ids_sha256", figures.ids_sha256}};
  }
  return event;
}

io::Json codes_event(const pipeline::CodeSample& sample) {
  return {{"linears", sample.linears},           {"zeros", sample.stats.zeros},
          {"outliers", sample.stats.outliers},   {"entropy_bits", sample.stats.entropy_bits},
          {"stored_bytes", sample.stored_bytes}, {"packed_bytes", sample.packed_bytes}};
}

QuantizeReport report_of(const pipeline::Plan& plan, const pipeline::QuantizeResult& result) {
  QuantizeReport report{.outputs = {},
                        .linears = {},
                        .seconds = result.seconds_total(),
                        .peak_rss_bytes = result.run.peak_rss,
                        .lines = pipeline::closing_table(plan, result)};
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
    const layout::OutputPlan& planned = plan.outputs[i];
    const pipeline::OutputRecord& written = result.run.outputs[i];
    report.outputs.push_back({.layout = std::string(planned.layout->id),
                              .folder = planned.under(plan.job.out),
                              .bytes = written.bytes,
                              .effective_bits = pipeline::effective_bits(plan, written)});
  }
  for (const pipeline::LinearRecord& linear : result.run.linears) {
    LinearQuality quality{linear.name, linear.weight.sqnr_db(), std::nullopt};
    if (linear.output.has_value()) quality.output_sqnr_db = linear.output->sqnr_db();
    report.linears.push_back(std::move(quality));
  }
  return report;
}

}  // namespace

std::span<const ParamSpec> recipe_params() { return pipeline::recipe_params(); }

void set_param(ParamMap& params, std::string_view name, std::string_view value) {
  std::vector<std::string> known;
  for (const ParamSpec& spec : recipe_params()) {
    if (spec.name == name) return params.set(spec, value, std::string(name));
    known.emplace_back(spec.name);
  }
  const std::string near = closest_match(name, known);
  throw Error(ErrorCode::unknown_entry, fmt::format("parameter \"{}\"", name))
      .hint(near.empty() ? "recipe_params() lists the parameters"
                         : fmt::format("did you mean \"{}\"?", near));
}

void read_recipe(const std::filesystem::path& file, ParamMap& params) {
  pipeline::read_recipe(file, params);
}

struct QuantizePlan::Impl {
  pipeline::Plan plan;
  PlanFigures figures;
};

QuantizePlan::QuantizePlan(const Context& ctx, Job job) : impl_(std::make_unique<Impl>()) {
  job.params.fill_defaults(recipe_params());
  pipeline::refuse_existing_output(job);
  job.model = pipeline::model_folder(job.model);
  impl_->plan = pipeline::make_plan(ctx, job);
  impl_->figures = figures_of(impl_->plan);
  ctx.event("plan", plan_event(impl_->figures, impl_->plan.calibration.has_value()).dump());
}

QuantizePlan::~QuantizePlan() = default;
QuantizePlan::QuantizePlan(QuantizePlan&&) noexcept = default;
QuantizePlan& QuantizePlan::operator=(QuantizePlan&&) noexcept = default;

const PlanFigures& QuantizePlan::figures() const noexcept { return impl_->figures; }

std::vector<std::string> QuantizePlan::lines() const { return pipeline::describe(impl_->plan); }

std::vector<std::string> QuantizePlan::sample_codes(const Context& ctx) const {
  const auto sample = pipeline::sample_codes(ctx, impl_->plan);
  if (!sample.has_value()) return {};
  ctx.event("codes", codes_event(*sample).dump());
  return pipeline::describe_codes(impl_->plan, *sample);
}

QuantizeReport QuantizePlan::run(const Context& ctx) const {
  return report_of(impl_->plan, pipeline::run_plan(ctx, impl_->plan));
}

QuantizeReport quantize(const Context& ctx, const Job& job) {
  return QuantizePlan(ctx, job).run(ctx);
}

}  // namespace pare
