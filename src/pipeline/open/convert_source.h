// A quantized model to convert: a folder in any layout, or the files of an Ascend output by name.
#pragma once

#include "layouts/layout.h"

#include <filesystem>
#include <memory>
#include <string>

namespace pare::pipeline {

struct ConvertSource {
  std::filesystem::path folder;  // config.json and tokenizer lie here
  std::string layout;            // id of the layout that writes it
  std::unique_ptr<layout::QuantizedCheckpoint> checkpoint;
};

/// Errors: file_not_found; bad_usage for float weights; bad_config for two contradicting layouts in
/// one folder; scheme_not_supported for a layout that Pare does not read; those of the layout.
ConvertSource open_quantized(const std::filesystem::path& folder);

/// `model` is a weight file or a folder, which shards ask for (one of them will do as well);
/// `description` the JSON file that says what its tensors are.
/// Errors: file_not_found and those of the layout.
ConvertSource open_described_files(const std::filesystem::path& model,
                                   const std::filesystem::path& description);

}  // namespace pare::pipeline
