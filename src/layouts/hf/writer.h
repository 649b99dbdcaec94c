// The writer of all Hugging Face style layouts: model.safetensors or numbered shards with an
// index, linears as tensors of the layout, and every other tensor under its own name.
#pragma once

#include "layouts/layout.h"

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pare::layout {

/// Takes one tensor of a linear; its bytes live only during the call.
using HfSink = std::function<void(const std::string& name, const TensorView& value)>;

/// Which forms of codes a layout has a place for: codes by scales alone, or also two stages of
/// scales and powers.
enum class CodeForms : std::uint8_t { uniform_only, all };

/// What differs from layout to layout. The bias is none of it: it is the same in all.
struct HfLayout {
  /// The tensors of a linear: full names, types and shapes.
  std::vector<containers::TensorInfo> (*declare)(const quant::LinearHeader& linear);
  /// The same with their values. Errors: scheme_not_supported, out_of_range.
  void (*emit)(const quant::QuantizedLinear& q, const HfSink& take);
  /// Float tensors and biases become this type; nullopt = as they are.
  std::optional<DType> float_dtype;
  CodeForms forms = CodeForms::uniform_only;
};

/// A small file beside the weights.
struct HfTextFile {
  std::string name;
  std::string text;
};

inline constexpr std::array kHfParams = {
    ParamSpec{.name = "part_file_size",
              .type = ParamType::number,
              .min = 1e-6,
              .max = 1e6,
              .help = "largest weight file in GiB; more become numbered files with an index "
                      "(default: one file up to 5 GB, else files of up to 5 GB)"},
};

/// Every tensor that will be written, in the order of the plan.
std::vector<containers::TensorInfo> declare_hf(const OutputPlan& plan, const HfLayout& layout);

/// "" or why the plan has no place in any such layout: two tensors of one name, a power.
std::string refuse_hf_plan(const OutputPlan& plan, const HfLayout& layout);

/// Begins the weight files. Errors: output_not_writable.
std::unique_ptr<Writer> make_hf_writer(const OutputPlan& plan, const HfLayout& layout,
                                       const std::filesystem::path& folder, const ParamMap& params,
                                       std::vector<HfTextFile> texts);

}  // namespace pare::layout
