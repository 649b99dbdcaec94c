// What a run writes in one layout: all of it is known before any weight is read.
#pragma once

#include "containers/tensor_source.h"
#include "pare/quantized_linear.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pare::layout {

struct Layout;

/// One module of the model in registration order: a quantized linear or a float tensor.
struct OutputEntry {
  std::optional<quant::LinearHeader> linear;
  containers::TensorInfo tensor;  // when not a linear: name, dtype and shape as it is given
  std::string tag = {};           // of the tensor in descriptions; "" = float
};

/// A float tensor that is copied from the source, and its name there.
struct CopiedTensor {
  std::string name;
  std::string source;
};

/// A float tensor that a transform makes: `source` of its block, once that is transformed.
struct RewrittenTensor {
  std::string name;
  std::string source;
  std::int64_t block = 0;
};

/// A tensor of the source that no output holds, and the rule that says so.
struct DroppedTensor {
  std::string name;
  std::string rule;
};

struct OutputPlan {
  const Layout* layout = nullptr;
  std::string subfolder;  // of the run's folder; "" when it writes no other layout
  std::vector<OutputEntry> entries;
  std::vector<CopiedTensor> copied;
  std::vector<RewrittenTensor> rewritten;
  std::vector<DroppedTensor> dropped;
  std::string scheme_tag;  // of the whole model: "W8A8"
  /// As config.json says, else that of the weights: decides how deq_scale is stored.
  DType model_dtype = DType::f32;
  std::int64_t group_size = 0;        // 0 = none, or not the same for all
  std::filesystem::path source = {};  // folder with config.json and tokenizer; may be empty
  bool activations_left_out = false;  // the layout says nothing about how inputs are rounded
  std::size_t bytes = 0;              // of all tensors, headers left out

  std::filesystem::path under(const std::filesystem::path& folder) const {
    return subfolder.empty() ? folder : folder / subfolder;
  }
};

}  // namespace pare::layout
