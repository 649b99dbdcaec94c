// The table of readers, made from readers.def, and the choice among them.
#include "containers/tensor_source.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare::containers {

#define PARE_READER(name) extern const Reader name##_reader;
#include "containers/readers.def"
#undef PARE_READER

namespace {

namespace fs = std::filesystem;

constexpr std::array kReaders = {
#define PARE_READER(name) &name##_reader,
#include "containers/readers.def"
#undef PARE_READER
};

constexpr std::array<std::string_view, 7> kForeignExtensions = {".bin",  ".pt",   ".pth", ".ckpt",
                                                                ".gguf", ".onnx", ".h5"};

bool is_foreign_weights(const fs::path& file) {
  const std::string extension = file.extension().string();
  return std::find(kForeignExtensions.begin(), kForeignExtensions.end(), extension) !=
         kForeignExtensions.end();
}

/// A file of the folder that holds weights in another container; empty when there is none.
std::string foreign_weights_in(const fs::path& folder) {
  std::error_code error;
  std::string first;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (is_foreign_weights(entry.path()) && (first.empty() || name < first)) first = name;
  }
  return first;
}

[[noreturn]] void refuse(const fs::path& path) {
  const bool folder = fs::is_directory(path);
  const std::string foreign = folder ? foreign_weights_in(path) : path.filename().string();
  if (folder && foreign.empty()) {
    throw Error(ErrorCode::file_not_found, "no *.safetensors weights in the folder")
        .at(path.string())
        .hint("give the folder that holds config.json and the weights");
  }
  throw Error(ErrorCode::feature_not_supported, fmt::format("weights in {}", foreign))
      .at(path.string())
      .hint(
          "only safetensors is read: convert with save_pretrained(…, safe_serialization=True), or "
          "fetch the model's safetensors files");
}

}  // namespace

std::span<const Reader* const> readers() noexcept { return kReaders; }

std::unique_ptr<TensorSource> open_checkpoint(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    if (error) throw Error(ErrorCode::file_io, error.message()).at(path.string());
    throw Error(ErrorCode::file_not_found, path.string());
  }
  for (const Reader* reader : kReaders) {
    if (reader->probe(path)) return reader->open(path);
  }
  refuse(path);
}

}  // namespace pare::containers
