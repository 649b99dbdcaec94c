#include "layouts/checked_writer.h"

#include "pare/error.h"

#include <fmt/format.h>

namespace pare::layout {
namespace {

[[noreturn]] void refuse(const std::string& detail) { throw Error(ErrorCode::internal, detail); }

/// Errors: internal when the linear is not what was planned, or not what its header says.
void require_planned(const quant::QuantizedLinear& linear, const quant::LinearHeader& planned) {
  if (linear.scheme != planned.scheme || linear.out != planned.out || linear.in != planned.in) {
    refuse(fmt::format("{} is {} [{}, {}], the plan says {} [{}, {}]", linear.name,
                       linear.scheme.text(), linear.out, linear.in, planned.scheme.text(),
                       planned.out, planned.in));
  }
  if (linear.header() != planned) refuse(linear.name + " differs from the plan in its types");
  const std::string mismatch = quant::mismatch_of_parts(linear);
  if (!mismatch.empty()) refuse(fmt::format("{}: {} differs from the plan", linear.name, mismatch));
}

}  // namespace

CheckedWriter::CheckedWriter(const OutputPlan& plan, const std::filesystem::path& folder,
                             const ParamMap& params) {
  for (const OutputEntry& entry : plan.entries) {
    if (entry.linear.has_value()) {
      linears_.emplace(entry.linear->name, Expected{&entry});
    } else {
      tensors_.emplace(entry.tensor.name, Expected{&entry});
    }
  }
  writer_ = plan.layout->create(plan, folder, params);
}

const quant::LinearHeader& CheckedWriter::planned(std::string_view linear) const {
  const auto found = linears_.find(linear);
  if (found == linears_.end()) refuse(fmt::format("{} is not in the plan", linear));
  return *found->second.entry->linear;
}

void CheckedWriter::put_tensor(const std::string& name, const TensorView& tensor,
                               const GiveBack& give_back) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) refuse(fmt::format("{} is not in the plan", name));
  const containers::TensorInfo& info = found->second.entry->tensor;
  if (tensor.dtype != info.dtype || tensor.shape != info.shape) {
    refuse(fmt::format("{} is {} {}, the plan says {} {}", name, name_of(tensor.dtype),
                       tensor.shape.text(), name_of(info.dtype), info.shape.text()));
  }
  mark_given(found->second, name);
  const auto alone = writer_lock();
  writer_->put_tensor(name, tensor, give_back);
}

void CheckedWriter::put_linear(const quant::QuantizedLinear& linear) {
  require_planned(linear, planned(linear.name));
  mark_given(linears_.at(linear.name), linear.name);
  const auto alone = writer_lock();
  try {
    writer_->put_linear(linear);
  } catch (Error& error) {
    error.at(linear.name);
    throw;
  }
}

std::vector<std::string> CheckedWriter::finish() {
  for (const auto* expected : {&linears_, &tensors_}) {
    for (const auto& [name, one] : *expected) {
      if (!one.given) refuse(fmt::format("{} was never given", name));
    }
  }
  return writer_->finish();
}

void CheckedWriter::mark_given(Expected& expected, const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (expected.given) refuse(fmt::format("{} was given twice", name));
  expected.given = true;
}

std::unique_lock<std::mutex> CheckedWriter::writer_lock() {
  if (writer_->concurrent()) return {};
  return std::unique_lock(writer_mutex_);
}

}  // namespace pare::layout
