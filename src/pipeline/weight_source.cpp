#include "pipeline/weight_source.h"

#include "export/exporter.h"
#include "export/npy_folder.h"
#include "formats/npy_reader.h"

namespace pare::pipeline {

std::unique_ptr<formats::TensorSource> open_weight_source(const std::filesystem::path& path) {
  std::error_code unreadable;
  if (!std::filesystem::is_directory(path, unreadable)) {
    return path.extension() == ".npy" ? formats::open_npy_dict(path)
                                      : formats::open_checkpoint(path);
  }
  const export_::Exporter* exporter = export_::exporter_of(path);
  const bool npy = exporter != nullptr && exporter->id == "npy";
  return npy ? export_::open_npy_folder(path) : formats::open_checkpoint(path);
}

}  // namespace pare::pipeline
