#include "pipeline/output/output_writers.h"

#include "core/error.h"
#include "layouts/scale_rounding.h"
#include "pipeline/output/float_content.h"

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directory(folder, problem);
  if (!problem) fs::permissions(folder, static_cast<fs::perms>(0750), problem);
  if (problem) throw Error(ErrorCode::output_not_writable, problem.message()).at(folder.string());
}

bool stored_as_it_is(const quant::QuantizedLinear& linear, const layout::LinearPlan& planned) {
  const bool same_bias =
      !linear.bias.has_value() || linear.bias->dtype() == planned.bias_dtype.value();
  return same_bias && linear.scale_dtype == planned.scale_dtype;
}

/// The linear in the types of one output. Codes stay; scales are exact in either type, as far as its
/// range goes.
quant::QuantizedLinear in_types_of(const layout::LinearPlan& planned,
                                   quant::QuantizedLinear linear) {
  if (linear.scale_dtype != planned.scale_dtype) layout::round_scales(linear, planned.scale_dtype);
  if (linear.bias.has_value() && linear.bias->dtype() != *planned.bias_dtype) {
    linear.bias = store_floats(read_floats(linear.bias->view()), *planned.bias_dtype,
                               linear.bias->shape());
  }
  return linear;
}

}  // namespace

OutputWriters::OutputWriters(const Plan& plan, const fs::path& folder) {
  for (const Output& output : plan.outputs) {
    Target target;
    target.output = &output;
    if (!output.subfolder.empty()) make_folder(output.under(folder));
    target.writer =
        output.layout->create(output.plan, output.under(folder), plan.job.params);
    for (const layout::Item& item : output.plan.items) {
      if (item.linear.has_value()) target.linears[item.linear->name] = &*item.linear;
    }
    targets_.push_back(std::move(target));
  }
}

void OutputWriters::put_tensor(std::size_t output, const std::string& name,
                               const TensorView& tensor) {
  targets_[output].writer->put_tensor(name, tensor);
}

std::vector<std::uint64_t> OutputWriters::put_linear(const quant::QuantizedLinear& linear) {
  std::vector<std::uint64_t> contents;
  for (const Target& target : targets_) contents.push_back(put_linear(target, linear));
  return contents;
}

std::uint64_t OutputWriters::put_linear(const Target& target,
                                        const quant::QuantizedLinear& linear) {
  const layout::LinearPlan& planned = *target.linears.at(linear.name);
  if (!stored_as_it_is(linear, planned)) {
    const quant::QuantizedLinear fitted = in_types_of(planned, linear);
    target.writer->put_linear(fitted);
    return written_content(*target.output, fitted);
  }
  target.writer->put_linear(linear);
  return written_content(*target.output, linear);
}

std::vector<std::vector<std::string>> OutputWriters::finish() {
  std::vector<std::vector<std::string>> files;
  for (Target& target : targets_) {
    files.push_back(target.writer->finish());
    target.writer.reset();
  }
  return files;
}

}  // namespace pare::pipeline
