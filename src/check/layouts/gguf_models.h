// The models in the GGUF files of a folder. A model is one file, or several numbered parts of which
// the first has the key-values.
#pragma once

#include "check/folder.h"
#include "containers/gguf/file.h"
#include "io/file.h"

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pare::check {

/// One file: its header, or why it cannot be read.
struct GgufFile {
  std::string name;
  std::string problem;       // "" when the header can be read
  std::string remedy;        // what to do about the problem
  bool unsupported = false;  // the problem is one of Pare, not of the file
  containers::GgufHeader header;
  std::unique_ptr<io::MappedFile> bytes;  // which the header points into
};

class GgufModel {
 public:
  /// `files` in the order of their numbers; `missing` are the numbers that are not there.
  GgufModel(std::vector<GgufFile> files, std::vector<int> missing, int parts)
      : files_(std::move(files)), missing_(std::move(missing)), parts_(parts) {}

  const std::string& name() const noexcept { return files_.front().name; }
  const std::vector<GgufFile>& files() const noexcept { return files_; }
  const std::vector<int>& missing() const noexcept { return missing_; }
  int parts() const noexcept { return parts_; }
  /// Every part is there and can be read.
  bool whole() const noexcept;

  /// nullptr when the key is absent or has another type.
  template <typename T>
  const T* value(std::string_view key) const {
    const auto& values = files_.front().header.values;
    const auto found = values.find(key);
    return found == values.end() ? nullptr : std::get_if<T>(&found->second);
  }
  bool has(std::string_view key) const { return files_.front().header.values.contains(key); }
  /// general.architecture; "" when it is no text.
  std::string architecture() const;
  const containers::GgufTensor* tensor(std::string_view name) const noexcept;
  std::vector<const containers::GgufTensor*> tensors() const;

 private:
  std::vector<GgufFile> files_;
  std::vector<int> missing_;
  int parts_ = 1;
};

std::vector<GgufModel> gguf_models(const Folder& folder);

}  // namespace pare::check
