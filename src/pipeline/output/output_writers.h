// Everything a run writes goes to all of its outputs at once, each in the types it stores.
#pragma once

#include "pipeline/quantize/quantize.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pare::pipeline {

/// The folders of a plan's outputs while they are written.
/// Threads: one call at a time.
class OutputWriters {
 public:
  /// Makes the subfolders, where there are several outputs, and begins the files.
  /// Errors: output_not_writable.
  OutputWriters(const Plan& plan, const std::filesystem::path& folder);

  /// A float tensor of one output.
  void put_tensor(std::size_t output, const std::string& name, const TensorView& tensor);

  /// Writes a linear everywhere. Returns what each output then holds of it, as content_hash or
  /// float_content. Errors: out_of_range when a scale does not fit the type of an output.
  std::vector<std::uint64_t> put_linear(const quant::QuantizedLinear& linear);

  /// Completes the files; their names for each output, relative to its folder.
  std::vector<std::vector<std::string>> finish();

 private:
  struct Target {
    const Output* output = nullptr;
    std::unique_ptr<layout::Writer> writer;
    std::map<std::string_view, const layout::LinearPlan*> linears;
  };

  std::uint64_t put_linear(const Target& target, const quant::QuantizedLinear& linear);

  std::vector<Target> targets_;
};

}  // namespace pare::pipeline
