// What a writer was promised: the items of a plan, each given once.
#pragma once

#include "export/exporter.h"

#include <map>
#include <mutex>
#include <set>
#include <string>

namespace pare::export_ {

/// Threads: `take_…` may be called at the same time.
class PlannedItems {
 public:
  explicit PlannedItems(const ExportPlan& plan);

  /// The plan of a tensor or linear that has arrived.
  /// Errors: internal when it is not in the plan, differs from it (tensors: dtype, shape; linears:
  /// scheme, shape), or arrives a second time.
  const formats::TensorInfo& take_tensor(const std::string& name, const TensorView& tensor);
  const LinearPlan& take_linear(const quant::QuantizedLinear& linear);

  /// Errors: internal, naming an item that has not arrived.
  void require_all() const;

 private:
  void mark_given(const std::string& name);

  std::map<std::string, LinearPlan> linears_;
  std::map<std::string, formats::TensorInfo> tensors_;
  std::mutex mutex_;
  std::set<std::string> given_;  // under the mutex
};

}  // namespace pare::export_
