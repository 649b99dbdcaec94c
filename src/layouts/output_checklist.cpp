#include "layouts/output_checklist.h"

#include "core/error.h"

#include <fmt/format.h>

namespace pare::layout {
namespace {

[[noreturn]] void refuse(const std::string& detail) { throw Error(ErrorCode::internal, detail); }

}  // namespace

OutputChecklist::OutputChecklist(const OutputPlan& plan) {
  for (const Item& item : plan.items) {
    if (item.linear.has_value()) {
      linears_.emplace(item.linear->name, *item.linear);
    } else {
      tensors_.emplace(item.tensor.name, item.tensor);
    }
  }
}

const containers::TensorInfo& OutputChecklist::take_tensor(const std::string& name,
                                                     const TensorView& tensor) {
  const auto planned = tensors_.find(name);
  if (planned == tensors_.end()) refuse(fmt::format("{} is not in the plan", name));
  const containers::TensorInfo& info = planned->second;
  if (tensor.dtype != info.dtype || tensor.shape != info.shape) {
    refuse(fmt::format("{} is {} {}, the plan says {} {}", name, name_of(tensor.dtype),
                       tensor.shape.text(), name_of(info.dtype), info.shape.text()));
  }
  mark_given(name);
  return info;
}

const LinearPlan& OutputChecklist::take_linear(const quant::QuantizedLinear& linear) {
  const auto planned = linears_.find(linear.name);
  if (planned == linears_.end()) refuse(fmt::format("{} is not in the plan", linear.name));
  const LinearPlan& plan = planned->second;
  if (linear.scheme != plan.scheme || linear.out != plan.out || linear.in != plan.in) {
    refuse(fmt::format("{} is {} [{}, {}], the plan says {} [{}, {}]", linear.name,
                       linear.scheme.text(), linear.out, linear.in, plan.scheme.text(), plan.out,
                       plan.in));
  }
  mark_given(linear.name);
  return plan;
}

void OutputChecklist::require_all() const {
  const auto check = [this](const auto& items) {
    for (const auto& [name, item] : items)
      if (!given_.contains(name)) refuse(fmt::format("{} was never given", name));
  };
  check(linears_);
  check(tensors_);
}

void OutputChecklist::mark_given(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!given_.insert(name).second) refuse(fmt::format("{} was given twice", name));
}

}  // namespace pare::layout
