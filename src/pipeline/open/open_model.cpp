#include "pipeline/open/open_model.h"

#include "model/architecture.h"
#include "pare/error.h"
#include "pipeline/open/float_weights.h"
#include "pipeline/open/quantized_weights.h"

#include <fmt/format.h>

namespace pare::pipeline {
namespace {

void require_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (std::filesystem::is_directory(folder, ignored)) return;
  const bool exists = std::filesystem::exists(folder, ignored);
  throw Error(ErrorCode::file_not_found, exists ? "the model is not a folder" : "no such folder")
      .at(folder.string())
      .hint("a model is a folder with config.json and its weights");
}

}  // namespace

OpenModel::OpenModel(const std::filesystem::path& folder, kernels::Compute compute)
    : folder_(folder) {
  require_folder(folder);
  graph_ = model::read_graph(folder);
  try {
    const layout::Layout* layout = layout::layout_of(folder);
    if (layout != nullptr) {
      kind_ = layout->id;
      quantized_ = layout->open(folder);
      weights_ = std::make_unique<QuantizedWeights>(*quantized_, graph_);
    } else {
      kind_ = "float";
      source_ = open_float_weights(folder);
      model::check_tensors(graph_, *source_);
      weights_ = std::make_unique<model::FloatWeights>(*source_);
    }
  } catch (Error& failure) {
    if (failure.where().empty()) failure.at(folder.string());
    throw;
  }
  model_ = {.graph = &graph_, .weights = weights_.get(), .compute = compute};
}

OpenModel::~OpenModel() = default;

kernels::Compute parse_compute(const std::string& word, kernels::Compute if_auto) {
  if (word == "f32") return kernels::Compute::f32;
  if (word == "bf16") return kernels::Compute::bf16;
  if (word == "auto" || word.empty()) return if_auto;
  throw Error(ErrorCode::bad_option_value, fmt::format("compute = \"{}\"", word))
      .hint("allowed: auto, f32, bf16");
}

}  // namespace pare::pipeline
