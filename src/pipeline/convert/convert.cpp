#include "pipeline/convert/convert.h"

#include "io/file.h"
#include "pare/error.h"
#include "pipeline/convert/difference.h"
#include "pipeline/convert/plan.h"
#include "pipeline/output/fit.h"
#include "pipeline/output/for_each_linear.h"

#include <algorithm>
#include <utility>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

void refuse_same_folder(const ConvertSource& source, const ConvertJob& job) {
  std::error_code ignored;
  if (!fs::equivalent(source.folder, job.out, ignored)) return;
  throw Error(ErrorCode::bad_usage, "the output folder is the one to convert")
      .at(job.out.string())
      .hint("choose another folder; the source stays as it is");
}

/// A refusal that only the values could tell, in the words of this command.
[[noreturn]] void rethrow_in_our_words(const Error& failure, const std::string& module) {
  Error error(failure.code(), in_words_of_convert(failure.detail()));
  for (const std::string& place : failure.where())
    error.at(place);
  if (failure.where().empty()) error.at(module);
  throw std::move(error).hint(in_words_of_convert(failure.hint()));
}

/// Linears of the source, taken into what the output needs, one at a time.
class LinearMover {
 public:
  LinearMover(const ConvertSource& source, const layout::OutputPlan& plan, const ParamMap& params)
      : checkpoint_(*source.checkpoint), plan_(plan), params_(params) {}

  void move(const quant::LinearHeader& planned, RunOutputs& outputs) const {
    layout::LoadedLinear loaded = *checkpoint_.linear(planned.name);
    checkpoint_.release(planned.name);
    quant::QuantizedLinear& q = loaded.linear;
    const std::vector<float> scales = q.scales;
    show_hidden_bias(planned, loaded);
    LinearRecord record{.name = q.name, .out = q.out, .in = q.in};
    record.fit.scales = fit(q, planned, *plan_.layout);
    record.fit.refitted_groups = adapt(q, {&plan_, 1}, params_);
    record.input = q.input;
    record.weight_difference = difference(q, scales, record.fit);
    outputs.put_linear(std::move(q), std::move(record));
  }

 private:
  /// Static linears may hold their bias in quant_bias alone.
  static void show_hidden_bias(const quant::LinearHeader& planned, layout::LoadedLinear& loaded) {
    if (!planned.bias_dtype.has_value() || loaded.linear.bias.has_value()) return;
    loaded.linear.bias =
        store_floats(loaded.effective_bias, *planned.bias_dtype, {loaded.linear.out});
  }

  double difference(const quant::QuantizedLinear& q, const std::vector<float>& scales,
                    const FitReport& fit) const {
    if (plan_.layout->plain_floats) return rounding_difference(q, plan_.model_dtype);
    const bool in_order = q.group_index.empty() && q.row_scales.empty() && q.exponent == 1;
    if (fit.refitted_groups == 0 && (in_order || fit.scales.changed == 0)) {
      return scale_difference(q, scales);
    }
    // Codes are large: the source's are read a second time only where scales do not say it all.
    const double difference = weight_difference(checkpoint_.linear(q.name)->linear, q);
    checkpoint_.release(q.name);
    return difference;
  }

  const layout::QuantizedCheckpoint& checkpoint_;
  const layout::OutputPlan& plan_;
  const ParamMap& params_;
};

void move_linears(const Context& ctx, const ConvertSource& source, const layout::OutputPlan& plan,
                  const ParamMap& params, RunOutputs& outputs) {
  const LinearMover mover(source, plan, params);
  const auto move = [&](const quant::LinearHeader& planned) {
    try {
      mover.move(planned, outputs);
    } catch (const Error& failure) {
      if (failure.kind() != ErrorKind::unsupported) throw;
      rethrow_in_our_words(failure, planned.name);
    }
  };
  for_each_linear(ctx, plan, "converting", move, !outputs.any_order());
}

void warn(const Context& ctx, const ConvertSource& source, const layout::OutputPlan& plan) {
  for (const std::string& note : source.checkpoint->notes())
    ctx.warning(note);
  for (const std::string& note : layout::notes_of(plan))
    ctx.warning(note);
}

std::size_t bytes_of(const std::vector<fs::path>& files) {
  std::size_t sum = 0;
  for (const fs::path& file : files)
    sum += fs::file_size(file);
  return sum;
}

/// What the records of all linears come to.
void sum_up(ConvertResult& result) {
  for (const LinearRecord& record : result.run.linears) {
    result.fit.add(record.fit);
    result.weight_difference = std::max(result.weight_difference, record.weight_difference);
  }
}

}  // namespace

ConvertResult convert(const Context& ctx, const ConvertSource& source, const ConvertJob& job) {
  refuse_same_folder(source, job);
  const layout::OutputPlan plan = plan_conversion(read_inventory(ctx, source), source, *job.to);
  warn(ctx, source, plan);
  const auto stored = source.checkpoint->stored();
  ConvertResult result;
  result.dropped = plan.dropped;
  result.copied = plan.copied.size();
  result.source_tensors = stored->tensors().size();
  result.input_bytes = bytes_of(stored->files());
  result.companions = find_companions(source.folder, stored->files());
  const RunPlan run_plan{.out = job.out,
                         .overwrite = job.overwrite,
                         .model = source.folder,
                         .companions = &result.companions,
                         .outputs = {&plan, 1},
                         .params = &job.params,
                         .floats = float_source(*source.checkpoint)};
  const Producer produce = [&](RunOutputs& outputs) {
    move_linears(ctx, source, plan, job.params, outputs);
  };
  result.run = run(ctx, run_plan, produce, [&](const RunResult& done, const fs::path& folder) {
    result.run = done;
    sum_up(result);
    io::write_text(folder / "report.json", convert_report(source, job, result), 0640);
  });
  return result;
}

}  // namespace pare::pipeline
