// What a writer was promised: the items of a plan, each given once.
#pragma once

#include "layouts/layout.h"

#include <map>
#include <mutex>
#include <set>
#include <string>

namespace pare::layout {

/// Threads: `take_…` may be called at the same time.
class OutputChecklist {
 public:
  explicit OutputChecklist(const OutputPlan& plan);

  /// The plan of a tensor or linear that has arrived.
  /// Errors: internal when it is not in the plan, differs from it (tensors: dtype, shape; linears:
  /// scheme, shape), or arrives a second time.
  const containers::TensorInfo& take_tensor(const std::string& name, const TensorView& tensor);
  const LinearPlan& take_linear(const quant::QuantizedLinear& linear);

  /// Errors: internal, naming an item that has not arrived.
  void require_all() const;

 private:
  void mark_given(const std::string& name);

  std::map<std::string, LinearPlan> linears_;
  std::map<std::string, containers::TensorInfo> tensors_;
  std::mutex mutex_;
  std::set<std::string> given_;  // under the mutex
};

}  // namespace pare::layout
