// Weight files and their description under any names, as tools of other makers leave them.
#pragma once

#include "layouts/layout.h"

#include <filesystem>
#include <memory>

namespace pare::layout {

struct DescribedWeights {
  std::filesystem::path folder;  // config.json and tokenizer lie here
  const Layout* layout = nullptr;
  std::unique_ptr<QuantizedCheckpoint> checkpoint;
};

/// `model` is a weight file or a folder, which shards ask for (one of them will do as well);
/// `description` the JSON file that says what its tensors are.
/// Errors: file_not_found, bad_description, those of the container.
DescribedWeights open_described_weights(const std::filesystem::path& model,
                                        const std::filesystem::path& description);

}  // namespace pare::layout
