#include "pipeline/open/weight_source.h"

#include "containers/gguf/reader.h"
#include "containers/npy/reader.h"
#include "layouts/layout.h"

namespace pare::pipeline {

std::unique_ptr<containers::TensorSource> open_weight_source(const std::filesystem::path& path) {
  std::error_code unreadable;
  if (!std::filesystem::is_directory(path, unreadable)) {
    if (path.extension() == ".npy") return containers::open_npy_dict(path);
    if (path.extension() == ".gguf") return containers::open_gguf_files({path});
    return containers::open_checkpoint(path);
  }
  const layout::Layout* layout = layout::layout_of(path);
  const bool own = layout != nullptr && layout->open_weights != nullptr;
  return own ? layout->open_weights(path) : containers::open_checkpoint(path);
}

}  // namespace pare::pipeline
