#include "containers/gguf/reader.h"

#include "containers/find_tensor.h"
#include "containers/gguf/file.h"
#include "containers/in_quotes.h"
#include "io/file.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <utility>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;

TensorInfo info_of(GgufTensor&& tensor) {
  TensorInfo info{std::move(tensor.name), tensor.block->dtype.value_or(DType::foreign),
                  std::move(tensor.shape)};
  if (!tensor.block->dtype) info.foreign = {std::string(tensor.block->name), tensor.size};
  return info;
}

class GgufFiles final : public TensorSource {
 public:
  explicit GgufFiles(const std::vector<fs::path>& files) {
    for (const fs::path& file : files)
      add(file);
    std::sort(infos_.begin(), infos_.end(),
              [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  }

  std::span<const TensorInfo> tensors() const noexcept override { return infos_; }

  const TensorInfo* find(std::string_view name) const noexcept override {
    return find_tensor(infos_, name);
  }

  TensorView read(std::string_view name) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr) throw Error(ErrorCode::tensor_missing, in_quotes(name));
    const Place& place = places_.find(name)->second;
    return {info->dtype, info->shape, place.file->bytes().subspan(place.begin, place.size)};
  }

  void release(std::string_view name) const noexcept override {
    const auto place = places_.find(name);
    if (place != places_.end()) {
      place->second.file->release(place->second.begin, place->second.size);
    }
  }

  std::string file_of(std::string_view name) const override {
    const auto place = places_.find(name);
    return place == places_.end() ? "" : place->second.file->path().filename().string();
  }

  std::vector<fs::path> files() const override {
    std::vector<fs::path> paths;
    for (const io::MappedFile& file : files_)
      paths.push_back(file.path());
    return paths;
  }

 private:
  struct Place {
    const io::MappedFile* file = nullptr;
    std::size_t begin = 0;
    std::size_t size = 0;
  };

  void add(const fs::path& path) {
    const io::MappedFile& file = files_.emplace_back(path);
    GgufHeader header = parse_gguf_header(file.bytes(), path.string());
    file.release(0, header.data_begin);
    for (GgufTensor& tensor : header.tensors) {
      const Place place{&file, tensor.begin, tensor.size};
      if (!places_.emplace(tensor.name, place).second) {
        throw Error(ErrorCode::bad_gguf,
                    fmt::format("tensor {} is in another file too", in_quotes(tensor.name)))
            .at(path.string());
      }
      infos_.push_back(info_of(std::move(tensor)));
    }
  }

  std::deque<io::MappedFile> files_;  // a deque because places point into it
  std::vector<TensorInfo> infos_;     // by name
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace

std::unique_ptr<TensorSource> open_gguf_files(const std::vector<fs::path>& files) {
  return std::make_unique<GgufFiles>(files);
}

}  // namespace pare::containers
