// Ascend's descriptions say what the tensors of weight files are, whatever the files are called.
#include "layouts/described_weights.h"

#include "layouts/ascend/checkpoint.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <utility>

namespace pare::layout {

extern const Layout layout_ascend;
extern const Layout layout_ascend_v1;

namespace {

namespace fs = std::filesystem;

/// A shard stands for its folder.
fs::path whole_model(const fs::path& model) {
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) return model;
  const std::string name = model.filename().string();
  const bool part = name.find("-of-") != std::string::npos || model.extension() == ".json";
  return part ? (model.has_parent_path() ? model.parent_path() : fs::path(".")) : model;
}

}  // namespace

DescribedWeights open_described_weights(const fs::path& model, const fs::path& description) {
  const fs::path weights = whole_model(model);
  const Description content = read_description(description);
  const bool packed = content.version == kVersion;
  if (!packed && !content.version.empty()) {
    throw Error(ErrorCode::bad_description,
                fmt::format("\"version\" is \"{}\", Pare reads \"1.0.0\" and descriptions without",
                            content.version))
        .at(description.string());
  }
  std::error_code ignored;
  DescribedWeights opened;
  opened.folder = fs::is_directory(weights, ignored) ? weights : weights.parent_path();
  if (opened.folder.empty()) opened.folder = ".";
  opened.layout = packed ? &layout_ascend_v1 : &layout_ascend;
  opened.checkpoint = make_checkpoint(containers::open_checkpoint(weights), content,
                                      packed ? Int4::paired : Int4::unpaired, description);
  return opened;
}

}  // namespace pare::layout
