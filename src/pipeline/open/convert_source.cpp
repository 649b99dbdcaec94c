#include "pipeline/open/convert_source.h"

#include "containers/tensor_source.h"
#include "layouts/described_weights.h"
#include "layouts/folder_files.h"
#include "layouts/foreign_weights.h"
#include "layouts/quant_config.h"
#include "pare/error.h"

#include <fmt/format.h>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

void require_folder(const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return;
  const bool exists = fs::exists(folder, ignored);
  throw Error(ErrorCode::file_not_found, exists ? "the model is not a folder" : "no such folder")
      .at(folder.string())
      .hint("give the folder that holds the quantized weights and config.json");
}

/// The method of Hugging Face style files, "" when there is none or the files are Ascend's own.
std::string stated_method(const fs::path& folder) {
  const auto config = layout::find_quant_config(folder);
  const std::string method = config.has_value() ? layout::quant_method(*config) : "";
  return method == "ascend" ? "" : method;
}

/// Programs disagree over which of the two counts, so none is guessed.
void refuse_two_layouts(const fs::path& folder, const std::string& method) {
  const auto found = layout::files_named(folder, "quant_model_description", ".json");
  if (found.empty() || method.empty()) return;
  throw Error(
      ErrorCode::bad_config,
      fmt::format("{} says that the weights are Ascend's, quantization_config that they are "
                  "{}",
                  found.front(), method))
      .at(folder.string())
      .hint(fmt::format("keep what fits the weight files: remove quantization_config (from "
                        "config.json, and quantize_config.json), or {}",
                        found.front()));
}

constexpr const char* kStartFromFloat =
    "start from the float model: `pare quantize` writes the layout you need; `pare list exporters` "
    "names the layouts that can be converted";

[[noreturn]] void refuse_unknown(const fs::path& folder, const std::string& method) {
  if (!method.empty()) {
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("quant_method is \"{}\", which Pare does not read", method))
        .at(folder.string())
        .hint(kStartFromFloat);
  }
  // Says what is wrong when there are no weights at all.
  const auto source = containers::open_checkpoint(folder);
  const std::string foreign = layout::foreign_weights(source->tensors());
  if (!foreign.empty()) {
    throw Error(ErrorCode::scheme_not_supported, foreign + ", which Pare does not read")
        .at(folder.string())
        .hint(kStartFromFloat);
  }
  throw Error(ErrorCode::bad_usage, "the weights are not quantized: there is nothing to convert")
      .at(folder.string())
      .hint("`pare quantize` makes quantized weights, with --format in the layout you need");
}

}  // namespace

ConvertSource open_quantized(const fs::path& folder) {
  require_folder(folder);
  const std::string method = stated_method(folder);
  refuse_two_layouts(folder, method);
  const layout::Layout* layout = layout::layout_of(folder);
  if (layout == nullptr) refuse_unknown(folder, method);
  try {
    return {folder, std::string(layout->id), layout->open(folder)};
  } catch (Error& failure) {
    if (failure.where().empty()) failure.at(folder.string());
    throw;
  }
}

ConvertSource open_described_files(const fs::path& model, const fs::path& description) {
  layout::DescribedWeights opened = layout::open_described_weights(model, description);
  return {opened.folder, std::string(opened.layout->id), std::move(opened.checkpoint)};
}

}  // namespace pare::pipeline
