#include "pipeline/output/run_outputs.h"

#include "io/hash.h"
#include "pare/error.h"
#include "pipeline/output/content.h"
#include "pipeline/output/finite.h"
#include "pipeline/output/fit.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <utility>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directory(folder, problem);
  if (!problem) fs::permissions(folder, static_cast<fs::perms>(0750), problem);
  if (problem) throw Error(ErrorCode::output_not_writable, problem.message()).at(folder.string());
}

/// Hash of the values as the layout holds them.
std::uint64_t stored_hash(const layout::Layout& layout, const TensorView& tensor) {
  std::vector<float> values = read_floats(tensor);
  const DType stored = layout.float_dtype.value_or(tensor.dtype);
  for (float& value : values)
    value = round_through(value, stored);
  return io::xxh3(std::as_bytes(std::span(values)));
}

/// Larger tensors are in memory alone, and every thread works at one; smaller ones side by side.
constexpr std::size_t kLargeTensor = std::size_t{4} << 20;

void copy_float(const Context& ctx, const FloatSource& floats, const layout::CopiedTensor& copy,
                layout::CheckedWriter& writer) {
  try {
    const TensorView tensor = floats.read(copy.source);
    const auto give_back = [&] { floats.release(copy.source); };
    refuse_not_finite(ctx, tensor, give_back);
    writer.put_tensor(copy.name, tensor, give_back);
  } catch (Error& error) {
    throw error.at(floats.place(copy.source));
  }
  floats.release(copy.source);
}

}  // namespace

RunOutputs::RunOutputs(std::span<const layout::OutputPlan> plans, const ParamMap& params,
                       const fs::path& folder) {
  for (const layout::OutputPlan& plan : plans) {
    if (!plan.subfolder.empty()) make_folder(plan.under(folder));
    outputs_.emplace_back(plan, plan.under(folder), params);
  }
  result_.outputs.resize(plans.size());
}

void RunOutputs::copy_floats(const Context& ctx, const FloatSource& floats) {
  for (Target& target : outputs_)
    copy_floats(ctx, floats, target);
}

void RunOutputs::copy_floats(const Context& ctx, const FloatSource& floats, Target& target) {
  const std::vector<layout::CopiedTensor>& copied = target.plan.copied;
  std::atomic<std::int64_t> done{0};
  const auto count = static_cast<std::int64_t>(copied.size());
  const auto copy_one = [&](const layout::CopiedTensor& copy) {
    ctx.check_cancelled();
    ctx.progress(
        {.stage = "copying", .item = copy.name, .done = done++, .total = count, .note = {}});
    copy_float(ctx, floats, copy, target.writer);
  };
  std::vector<const layout::CopiedTensor*> small;
  for (const layout::CopiedTensor& copy : copied) {
    const bool alone = floats.read(copy.source).data.size() > kLargeTensor;
    if (alone || !target.writer.concurrent()) {
      copy_one(copy);
    } else {
      small.push_back(&copy);
    }
  }
  ctx.parallel_for(static_cast<std::int64_t>(small.size()),
                   [&](std::int64_t i) { copy_one(*small[static_cast<std::size_t>(i)]); });
}

void RunOutputs::put_rewritten(const Context& ctx, const std::string& source,
                               const TensorView& tensor) {
  refuse_not_finite(ctx, tensor);
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    Target& target = outputs_[i];
    for (const layout::RewrittenTensor& planned : target.plan.rewritten) {
      if (planned.source != source) continue;
      target.writer.put_tensor(planned.name, tensor);
      if (planned.name != source) continue;  // readers hide second copies
      const std::lock_guard lock(mutex_);
      result_.outputs[i].rewritten.push_back({source, stored_hash(*target.plan.layout, tensor)});
    }
  }
}

bool RunOutputs::any_order() const noexcept {
  return std::all_of(outputs_.begin(), outputs_.end(),
                     [](const Target& target) { return target.writer.concurrent(); });
}

void RunOutputs::put_linear(quant::QuantizedLinear linear, LinearRecord record) {
  for (Target& target : outputs_) {
    const quant::LinearHeader& planned = target.writer.planned(linear.name);
    const bool last = &target == &outputs_.back();
    if (fits(linear, planned)) {
      record.contents.push_back(write(target, linear));
      continue;
    }
    quant::QuantizedLinear fitted = last ? std::move(linear) : linear;
    fit(fitted, planned, *target.plan.layout);
    record.contents.push_back(write(target, fitted));
  }
  const std::lock_guard lock(mutex_);
  result_.linears.push_back(std::move(record));
}

/// Returns what the files then hold.
std::uint64_t RunOutputs::write(Target& target, const quant::QuantizedLinear& linear) {
  target.writer.put_linear(linear);
  return written_content(target.plan, linear);
}

RunResult RunOutputs::finish() {
  for (std::size_t i = 0; i < outputs_.size(); ++i)
    result_.outputs[i].files = outputs_[i].writer.finish();
  std::unordered_map<std::string_view, std::size_t> places;
  for (const layout::OutputEntry& entry : outputs_.front().plan.entries) {
    if (entry.linear.has_value()) places.emplace(entry.linear->name, places.size());
  }
  std::sort(result_.linears.begin(), result_.linears.end(),
            [&](const LinearRecord& a, const LinearRecord& b) {
              return places.at(a.name) < places.at(b.name);
            });
  return std::move(result_);
}

}  // namespace pare::pipeline
