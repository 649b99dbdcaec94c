// Everything a run writes goes to all of its outputs at once, each in the types it stores.
#pragma once

#include "layouts/checked_writer.h"
#include "pipeline/output/inventory.h"
#include "pipeline/output/record.h"

#include <deque>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace pare::pipeline {

/// The folders of a run's outputs while they are written, and what has been written to them.
/// Threads: `put_…` may be called at the same time.
class RunOutputs {
 public:
  /// Makes the subfolders, where there are several outputs, and begins the files.
  /// Errors: output_not_writable.
  RunOutputs(std::span<const layout::OutputPlan> plans, const ParamMap& params,
             const std::filesystem::path& folder);

  /// Copies the float tensors that stay as they are to all outputs.
  /// Errors: not_finite, those of the source and of writing, naming the tensor.
  void copy_floats(const Context& ctx, const FloatSource& floats);

  /// Writes a tensor that a transform made to every output that plans it, or a copy of it, by its
  /// name among the transform's. Errors: not_finite.
  void put_rewritten(const Context& ctx, const std::string& source, const TensorView& tensor);

  /// Writes a linear everywhere, and keeps `record` with what each output then holds of it.
  /// Memory: one more copy of the codes at most, and none for the last output.
  /// Errors: out_of_range when a scale does not fit the type of an output.
  void put_linear(quant::QuantizedLinear linear, LinearRecord record);

  /// Whether linears and tensors may come in any order without a change of the bytes.
  bool any_order() const noexcept;

  /// What an output plans for a linear.
  const quant::LinearHeader& planned(std::size_t output, std::string_view linear) const {
    return outputs_[output].writer.planned(linear);
  }

  /// Completes the files. Records of linears come in the order of the model.
  RunResult finish();

 private:
  struct Target {
    Target(const layout::OutputPlan& of, const std::filesystem::path& folder,
           const ParamMap& params)
        : plan(of), writer(of, folder, params) {}

    const layout::OutputPlan& plan;
    layout::CheckedWriter writer;
  };

  void copy_floats(const Context& ctx, const FloatSource& floats, Target& target);
  static std::uint64_t write(Target& target, const quant::QuantizedLinear& linear);

  std::deque<Target> outputs_;
  std::mutex mutex_;  // of what follows
  RunResult result_;
};

}  // namespace pare::pipeline
