// What a conversion will write: every tensor of the source gets a place, or the conversion is
// refused.
#pragma once

#include "core/context.h"
#include "layouts/layout.h"
#include "model/architecture.h"
#include "pipeline/open/convert_source.h"
#include "pipeline/quantize/plan.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pare::pipeline {

/// What the source holds, in the order of the model, from headers, scales, zeros and groups alone.
struct SourceInventory {
  std::filesystem::path folder;
  std::string layout;                      // id of the layout that writes such files
  std::optional<model::ModelGraph> graph;  // nullopt: unknown architecture
  DType model_dtype = DType::f32;
  std::vector<layout::Item> items;   // linears with the scale type of the source
  std::set<std::string> norm_biases;  // that smoothing left behind
};

/// Linears of one model that differ by what their zeros or one-group sizes happen to be are given
/// one scheme, since most layouts state one for all.
/// Errors: those of the source; interrupted.
SourceInventory read_inventory(const Context& ctx, const ConvertSource& source);

struct ConvertPlan {
  const layout::Layout* layout = nullptr;
  layout::OutputPlan output;
  std::vector<CopiedTensor> copied;  // float tensors
  std::vector<DroppedTensor> dropped;
  bool without_activations = false;  // the layout has no place for how they are rounded
};

/// Errors: scheme_not_supported with the reason, and with the formats that hold the model exactly.
ConvertPlan plan_conversion(const SourceInventory& inventory,
                            const layout::QuantizedCheckpoint& checkpoint,
                            const layout::Layout& layout);

/// A reason that names options of `pare quantize`, in the words of `pare convert`.
std::string in_words_of_convert(std::string reason);

}  // namespace pare::pipeline
