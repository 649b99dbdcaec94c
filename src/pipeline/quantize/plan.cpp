#include "pipeline/quantize/plan.h"

#include "core/stopwatch.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "pare/job.h"
#include "pipeline/open/float_model.h"
#include "pipeline/quantize/estimate.h"
#include "pipeline/quantize/inventory.h"
#include "pipeline/quantize/sensitivity.h"
#include "pipeline/quantize/transforms.h"
#include "text/tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

namespace pare::pipeline {

std::size_t Plan::output_bytes() const noexcept {
  std::size_t sum = 0;
  for (const layout::OutputPlan& output : outputs)
    sum += output.bytes;
  return sum;
}

namespace {

bool needs_calibration(const Plan& plan) noexcept {
  return plan.needs_activation_ranges() || plan.needs_gram();
}

void open_model(const Context& ctx, Plan& plan) {
  const bool forward_needed = needs_calibration(plan) || plan.job.params.given("calib");
  FloatModel model =
      open_float_model(plan.job.model, forward_needed ? GraphNeed::forward : GraphNeed::none);
  if (!model.by_name_because.empty()) {
    ctx.warning(
        fmt::format("{}; this scheme needs nothing of that: linears are told by name and shape",
                    model.by_name_because));
  }
  plan.source = std::move(model.source);
  plan.graph = std::move(model.graph);
  plan.model_label = std::move(model.label);
  plan.linears = LinearSelection(std::move(model.linears));
  for (const containers::TensorInfo& info : plan.source->tensors()) {
    plan.input_bytes += info.nbytes();
    plan.parameters += info.shape.numel();
  }
  if (plan.graph.has_value()) plan.parameters -= copied_head_weights(*plan.graph, *plan.source);
}

/// Experts in one tensor of three dimensions are no linears that layouts have a place for.
void warn_of_stacked_weights(const Context& ctx, const Plan& plan) {
  if (plan.graph.has_value()) return;
  std::int64_t stacked = 0;
  std::string first;
  for (const containers::TensorInfo& info : plan.source->tensors()) {
    if (info.shape.rank() < 3 || !is_weight_float(info.dtype)) continue;
    stacked += info.shape.numel();
    if (first.empty()) first = fmt::format("{} {}", info.name, info.shape.text());
  }
  const double share = static_cast<double>(stacked) / static_cast<double>(plan.parameters);
  constexpr double kWorthSaying = 0.1;
  if (share < kWorthSaying) return;
  ctx.warning(
      fmt::format("{:.0f} % of the parameters stay in float: they lie in tensors of three "
                  "and more dimensions, such as {}",
                  share * 100, first));
}

void load_calibration(Plan& plan) {
  const ParamMap& params = plan.job.params;
  if (!params.given("calib")) {
    if (!needs_calibration(plan)) return;
    throw Error(ErrorCode::calibration_needed,
                plan.needs_activation_ranges()
                    ? fmt::format("scheme {} has static activations", params.text("scheme"))
                    : fmt::format("method {} looks at what linears read", plan.spec.method->id))
        .hint("add --calib FILE, or choose w8a8-dynamic, w8a16 or w4a16, which need no data");
  }
  text::DatasetOptions options;
  options.file = params.text("calib");
  options.tmpl = params.text("template");
  const auto limit = [&](std::string_view name) {
    const std::int64_t n = params.integer(name);
    return n > 0 ? std::optional(n) : std::nullopt;
  };
  options.count = limit("count");
  options.pack = limit("pack");
  const std::int64_t longest = plan.graph->config.max_positions;
  options.max_tokens = limit("max_tokens").value_or(std::min<std::int64_t>(longest, 2048));
  std::unique_ptr<text::Tokenizer> tokenizer;
  const text::OpenTokenizer open = [&]() -> const text::Tokenizer* {
    if (text::has_tokenizer(plan.job.model)) tokenizer = text::open_tokenizer(plan.job.model);
    return tokenizer.get();
  };
  plan.calibration = text::load_dataset(options, open, plan.graph->config.vocab_size);
}

kernels::Compute choose_compute(const Plan& plan) {
  const std::string word = plan.job.params.text("compute", "auto");
  if (word == "f32") return kernels::Compute::f32;
  if (word == "bf16") return kernels::Compute::bf16;
  const bool bf16_model = plan.model_dtype == DType::bf16;
  return bf16_model && kernels::has_fast_bf16() ? kernels::Compute::bf16 : kernels::Compute::f32;
}

void keep_requested(Plan& plan) {
  keep_gates(plan.linears);
  keep_by_pattern(plan.linears, plan.job.params.list("disable_names"));
  if (!plan.job.params.flag("quantize_last_linear")) keep_heads(plan.linears);
}

/// The sizes that divide all of `widths`: "32, 64".
std::string fitting_sizes(const std::set<std::int64_t>& widths) {
  std::string fitting;
  for (const std::int64_t size : {32, 64, 128, 256}) {
    const bool fits = std::all_of(widths.begin(), widths.end(),
                                  [&](std::int64_t width) { return width % size == 0; });
    if (fits) fitting += fmt::format("{}{}", fitting.empty() ? "" : ", ", size);
  }
  return fitting;
}

/// Every quantized linear must fit the group size; names all that do not, and sizes that would do.
void check_groups(const Plan& plan) {
  if (plan.spec.scheme.granularity != quant::Granularity::group) return;
  const std::int64_t group = plan.spec.scheme.group_size;
  std::vector<std::string> misfits;
  std::set<std::int64_t> widths;
  for (const model::Module& linear : plan.linears.quantized()) {
    widths.insert(linear.in());
    if (linear.in() % group != 0)
      misfits.push_back(fmt::format("{} ({})", linear.name, linear.in()));
  }
  if (misfits.empty()) return;
  const std::string fitting = fitting_sizes(widths);
  throw Error(ErrorCode::group_does_not_divide,
              fmt::format("group_size {} and the input columns of {} {}: {}", group, misfits.size(),
                          misfits.size() == 1 ? "linear" : "linears", fmt::join(misfits, ", ")))
      .hint(fitting.empty() ? "keep them with --disable-names, or leave --group-size out"
                            : fmt::format("sizes that would work for all: {}", fitting));
}

void warn_of_split_fusions(const Context& ctx, const Plan& plan) {
  const std::vector<std::string> lines = split_fusions(plan.linears);
  if (lines.empty()) return;
  ctx.warning(
      fmt::format("{} fused sets are split, which vLLM-like engines refuse ({}{}); keep or "
                  "quantize q, k and v together, and gate and up",
                  lines.size(), lines.front(), lines.size() > 1 ? "; …" : ""));
}

/// Lets the method look at the values it was given.
void check_method_params(const Context& ctx, const Plan& plan) {
  if (plan.spec.method->check == nullptr) return;
  const std::string warning = plan.spec.method->check(plan.job.params);
  if (!warning.empty()) ctx.warning(warning);
}

void warn_of_formats(const Context& ctx, const Plan& plan) {
  for (const layout::OutputPlan& output : plan.outputs) {
    for (const std::string& note : layout::notes_of(output))
      ctx.warning(note);
  }
}

void warn_of_power(const Context& ctx, const Plan& plan) {
  if (!plan.has_exponent()) return;
  ctx.warning(
      "codes of --nonuniform are linear in a power of the weights: engines that multiply code by "
      "scale compute noise from them; only Pare reads the power (weight_power) and computes right");
}

void refuse_nothing_to_do(const Plan& plan) {
  if (plan.linears.quantized_count() > 0) return;
  throw Error(ErrorCode::bad_usage, "no linear would be quantized")
      .at(plan.job.model.string())
      .hint("every linear is kept by --disable-names, by the fallback level, or is the last one");
}

void check_memory(const Plan& plan) {
  if (!plan.job.run.max_memory.has_value()) return;
  const std::size_t need = plan.memory.total();
  if (need <= *plan.job.run.max_memory) return;
  throw Error(ErrorCode::memory_limit, fmt::format("{} needed, {} allowed", human_bytes(need),
                                                   human_bytes(*plan.job.run.max_memory)))
      .hint(
          "fewer calibration tokens (--count, --max-tokens) need less; --dry-run shows the parts");
}

}  // namespace

Plan make_plan(const Context& ctx, const Job& job) {
  const Stopwatch watch;
  Plan plan;
  plan.job = job;
  plan.spec = read_quant_spec(job.params);
  refuse_foreign_params(job.params, plan.spec);
  check_method_params(ctx, plan);
  check_transforms(plan);
  parse_level(job.params.text("disable_level", "L0"));
  open_model(ctx, plan);
  plan.companions = find_companions(job.model, plan.source->files());
  warn_of_stacked_weights(ctx, plan);
  keep_requested(plan);
  refuse_nothing_to_do(plan);
  check_groups(plan);
  plan.model_dtype = find_model_dtype(plan);
  plan.compute = choose_compute(plan);
  load_calibration(plan);
  plan_transforms(plan);
  plan.memory = estimate_memory(plan, ctx.threads());
  check_memory(plan);
  apply_fallback_level(ctx, plan);
  refuse_nothing_to_do(plan);
  plan_transforms(plan);
  warn_of_split_fusions(ctx, plan);
  plan_outputs(plan);
  warn_of_power(ctx, plan);
  warn_of_formats(ctx, plan);
  plan.seconds_estimate = estimate_seconds(ctx, plan);
  plan.seconds_planning = watch.seconds();
  return plan;
}

}  // namespace pare::pipeline
