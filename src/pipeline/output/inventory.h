// What a run has to place into its outputs, whatever made the codes: every linear and every float
// tensor, in the order of the model.
#pragma once

#include "layouts/output_plan.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pare::pipeline {

/// A quantized linear, with types as they come from its source, or a float tensor.
struct InventoryEntry {
  std::optional<quant::LinearHeader> linear;
  containers::TensorInfo tensor;   // when not a linear
  std::string source;              // name of the tensor in the source, or of what a transform makes
  std::int64_t rewritten_in = -1;  // block whose transform makes it; -1 = copied
  bool tied_head = false;          // equal to the embedding: not every layout holds it twice
};

struct Inventory {
  std::filesystem::path folder;  // with config.json, tokenizer and all
  std::vector<InventoryEntry> entries;
  std::set<std::string> norm_biases;   // tensors that not every layout has a place for
  std::set<std::string> folded_norms;  // modules that some layouts hold a second time
  std::vector<layout::DroppedTensor> dropped;
  std::string scheme_tag;  // of the whole model
  DType model_dtype = DType::f32;
  std::int64_t group_size = 0;
};

/// Where float tensors are read from, by the names of the source.
struct FloatSource {
  std::function<TensorView(const std::string&)> read;
  std::function<void(const std::string&)> release;
  std::function<std::string(const std::string&)>
      place;  // for messages: "a.weight in x.safetensors"
};

/// Whether two float tensors of a source are the same, type and bytes.
bool same_tensors(const FloatSource& floats, const std::string& a, const std::string& b);

/// The plan of one output, and why it cannot be.
struct PlannedOutput {
  layout::OutputPlan plan;
  std::string reason;  // "" = it can
};

/// Why a head that is there as a tensor of its own need not be: it is the embedding once more.
inline constexpr std::string_view kTiedHeadRule = "copy of the embedding (tied head)";

/// Gives every entry its place in a layout. A norm bias without one is dropped when it is all 0.
/// Errors: those of reading norm biases.
PlannedOutput plan_output(const Inventory& inventory, const layout::Layout& layout,
                          const FloatSource& floats);

}  // namespace pare::pipeline
