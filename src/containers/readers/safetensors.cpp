// Reader of safetensors checkpoints: one file, or a folder with one or many, with or without index.
#include "containers/in_quotes.h"
#include "containers/find_tensor.h"
#include "containers/packed/file.h"
#include "containers/safetensors/header.h"
#include "containers/safetensors/shard_files.h"
#include "containers/tensor_source.h"
#include "io/file.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <fstream>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;

/// Where a tensor lies: a run of a plain file, or number `begin` of a packed one.
struct Place {
  std::size_t file = 0;
  std::size_t begin = 0;
  std::size_t size = 0;
};

/// One of the two.
struct SourceFile {
  std::optional<io::MappedFile> plain;
  std::optional<PackedFile> packed;

  const fs::path& path() const noexcept { return plain ? plain->path() : packed->path(); }
};

class SafetensorsSource final : public TensorSource {
 public:
  explicit SafetensorsSource(const ShardFiles& shards) {
    for (const fs::path& file : shards.files)
      add_file(file);
    sort_by_name();
    if (!shards.index.empty()) check_index(shards);
  }

  std::span<const TensorInfo> tensors() const noexcept override { return infos_; }

  const TensorInfo* find(std::string_view name) const noexcept override {
    return find_tensor(infos_, name);
  }

  TensorView read(std::string_view name) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr) fail_missing(name);
    const Place& place = place_of(*info);
    const SourceFile& file = files_[place.file];
    if (file.packed) return file.packed->read(place.begin);
    return {info->dtype, info->shape, file.plain->bytes().subspan(place.begin, place.size)};
  }

  TensorView read_rows(std::string_view name, std::int64_t first,
                       std::int64_t count) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr) fail_missing(name);
    const Place& place = place_of(*info);
    const SourceFile& file = files_[place.file];
    if (file.packed) return file.packed->read_rows(place.begin, first, count);
    return rows_of(read(name), first, count);
  }

  void release(std::string_view name) const noexcept override {
    const TensorInfo* info = find(name);
    if (info == nullptr) return;
    const Place& place = place_of(*info);
    const SourceFile& file = files_[place.file];
    if (file.packed) return file.packed->release(place.begin);
    file.plain->release(place.begin, place.size);
  }

  void populate(std::string_view name) const noexcept override {
    const TensorInfo* info = find(name);
    if (info == nullptr) return;
    const Place& place = place_of(*info);
    const SourceFile& file = files_[place.file];
    if (file.plain) file.plain->populate(place.begin, place.size);
  }

  std::string file_of(std::string_view name) const override {
    const TensorInfo* info = find(name);
    return info == nullptr ? "" : files_[place_of(*info).file].path().filename().string();
  }

  std::vector<fs::path> files() const override {
    std::vector<fs::path> paths;
    for (const SourceFile& file : files_)
      paths.push_back(file.path());
    return paths;
  }

 private:
  const Place& place_of(const TensorInfo& info) const noexcept {
    return places_[static_cast<std::size_t>(&info - infos_.data())];
  }

  void add_file(const fs::path& path) {
    SourceFile& file = files_.emplace_back();
    io::MappedFile& mapped = file.plain.emplace(path);
    SafetensorsHeader header = parse_safetensors_header(mapped.bytes(), path.string());
    mapped.release(0, header.header_bytes);
    refuse_too_many(header.entries.size(), path);
    if (is_packed(header)) return add_packed(file, path);
    for (SafetensorsEntry& entry : header.entries) {
      infos_.push_back(std::move(entry.info));
      places_.push_back({files_.size() - 1, entry.begin, entry.end - entry.begin});
    }
  }

  void add_packed(SourceFile& file, const fs::path& path) {
    file.plain.reset();
    const PackedFile& packed = file.packed.emplace(path);
    const std::vector<PackedRange>& ranges = packed.manifest().ranges;
    refuse_too_many(ranges.size(), path);
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      infos_.push_back(ranges[i].info);
      places_.push_back({files_.size() - 1, i, 0});
    }
  }

  void refuse_too_many(std::size_t more, const fs::path& path) const {
    if (infos_.size() + more <= kMaxSafetensorsTensors) return;
    throw Error(ErrorCode::bad_safetensors,
                fmt::format("more than {} tensors in the shards", kMaxSafetensorsTensors))
        .at(path.string());
  }

  void sort_by_name() {
    std::vector<std::size_t> order(infos_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return infos_[a].name < infos_[b].name; });
    std::vector<TensorInfo> infos;
    std::vector<Place> places;
    for (const std::size_t i : order) {
      if (!infos.empty() && infos.back().name == infos_[i].name) fail_twin(places.back(), i);
      infos.push_back(infos_[i]);
      places.push_back(places_[i]);
    }
    infos_ = std::move(infos);
    places_ = std::move(places);
  }

  [[noreturn]] void fail_twin(const Place& first, std::size_t second) const {
    throw Error(ErrorCode::bad_index,
                fmt::format("tensor \"{}\" is in two shards", infos_[second].name))
        .at(files_[first.file].path().string())
        .at(files_[places_[second].file].path().string())
        .hint("the files come from different saves: fetch them again");
  }

  /// The tensors as they lie on disk, with their files: what an index speaks of.
  std::map<std::string_view, std::string> stored_tensors() const {
    std::map<std::string_view, std::string> stored;
    for (const TensorInfo& info : infos_) {
      const SourceFile& file = files_[place_of(info).file];
      if (file.plain) stored.emplace(info.name, file.path().filename().string());
    }
    for (const SourceFile& file : files_) {
      if (!file.packed) continue;
      for (const std::string& name : file.packed->stored_names()) {
        stored.emplace(name, file.path().filename().string());
      }
    }
    return stored;
  }

  /// Index and files must name the same tensors in the same places.
  void check_index(const ShardFiles& shards) const {
    const std::map<std::string_view, std::string> stored = stored_tensors();
    for (const auto& [tensor, file] : shards.file_of) {
      const auto found = stored.find(tensor);
      if (found == stored.end() || found->second != file) {
        throw Error(ErrorCode::bad_index, fmt::format("{} is not in {}", in_quotes(tensor), file))
            .at(shards.index.string())
            .hint("the index is stale or a file was replaced: fetch both again");
      }
    }
    if (shards.file_of.size() == stored.size()) return;
    for (const auto& [tensor, file] : stored) {
      if (shards.file_of.contains(std::string(tensor))) continue;
      throw Error(ErrorCode::bad_index,
                  fmt::format("{} of {} is not in the weight_map", in_quotes(tensor), file))
          .at(shards.index.string())
          .hint("the index is incomplete or a file was replaced: fetch both again");
    }
  }

  [[noreturn]] void fail_missing(std::string_view name) const {
    std::vector<std::string> known;
    for (const TensorInfo& info : infos_)
      known.push_back(info.name);
    Error error(ErrorCode::tensor_missing, fmt::format("\"{}\"", name));
    if (!files_.empty()) error.at(files_.front().path().parent_path().string());
    const std::string near = closest_match(name, known);
    if (near.empty()) throw error;
    throw std::move(error).hint(fmt::format("did you mean \"{}\"?", near));
  }

  std::deque<SourceFile> files_;
  std::vector<TensorInfo> infos_;
  std::vector<Place> places_;  // of infos_, same order
};

/// A length field that can be one, then `{`: what a file of any other name must begin with.
bool begins_like_safetensors(const fs::path& path) {
  std::array<char, 9> head{};
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(head.data(), head.size())) return false;
  return head[4] == 0 && head[5] == 0 && head[6] == 0 && head[7] == 0 && head[8] == '{';
}

bool probe(const fs::path& path) noexcept {
  try {
    if (fs::is_directory(path)) return has_safetensors(path);
    if (!fs::is_regular_file(path)) return false;
    return path.extension() == ".safetensors" || begins_like_safetensors(path);
  } catch (...) {
    return false;
  }
}

std::unique_ptr<TensorSource> open(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return std::make_unique<SafetensorsSource>(find_shard_files(path));
  }
  return std::make_unique<SafetensorsSource>(ShardFiles{.files = {path}});
}

}  // namespace

extern const Reader safetensors_reader;
const Reader safetensors_reader = {
    .id = "safetensors",
    .summary = "Hugging Face safetensors: one file, or a folder with shards",
    .probe = probe,
    .open = open,
};

}  // namespace pare::containers
