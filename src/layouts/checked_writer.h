// The only door to a layout's writer: what goes through it is held against the plan, once for all
// layouts, so that writers need not.
#pragma once

#include "layouts/layout.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pare::layout {

/// Threads: `put_…` may be called at the same time; a writer that takes one call at a time gets
/// one.
class CheckedWriter {
 public:
  /// Begins the files of `plan`, which must outlive this object, in `folder`.
  /// Errors: output_not_writable.
  CheckedWriter(const OutputPlan& plan, const std::filesystem::path& folder,
                const ParamMap& params);

  /// Whether calls may come in any order and at the same time without a change of the bytes.
  bool concurrent() const noexcept { return writer_->concurrent(); }
  /// What the plan says of a linear. Errors: internal when it is not in the plan.
  const quant::LinearHeader& planned(std::string_view linear) const;

  /// Errors: internal for what is not in the plan, differs from it (tensors in type or shape;
  /// linears in their headers, or in parts that do not fit these), or comes a second time;
  /// those of the layout, naming the linear.
  void put_tensor(
      const std::string& name, const TensorView& tensor, const GiveBack& give_back = [] {});
  void put_linear(const quant::QuantizedLinear& linear);

  /// Completes the files. Returns their names, relative to the folder.
  /// Errors: internal, naming something planned that has not come.
  std::vector<std::string> finish();

 private:
  struct Expected {
    const OutputEntry* entry = nullptr;
    bool given = false;  // under the mutex
  };

  void mark_given(Expected& expected, const std::string& name);
  /// Held during a call of a writer that takes one at a time.
  std::unique_lock<std::mutex> writer_lock();

  std::unordered_map<std::string_view, Expected> linears_;
  std::unordered_map<std::string_view, Expected> tensors_;
  std::unique_ptr<Writer> writer_;
  std::mutex mutex_;
  std::mutex writer_mutex_;
};

}  // namespace pare::layout
