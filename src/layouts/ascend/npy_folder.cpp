#include "layouts/ascend/npy_folder.h"

#include "containers/find_tensor.h"
#include "containers/npy/reader.h"
#include "layouts/ascend/npy_names.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

/// Keys of several dictionaries under their full names; every read goes to the file that has it.
class NpyFolder final : public containers::TensorSource {
 public:
  void add(NpyFile file, std::unique_ptr<containers::TensorSource> source) {
    const std::size_t index = sources_.size();
    for (const containers::TensorInfo& info : source->tensors()) {
      places_.push_back({index, info.name});
      tensors_.push_back({full_name(file, info.name), info.dtype, info.shape});
    }
    sources_.push_back(std::move(source));
  }

  /// Sorts by full name. Errors: bad_description when a name comes twice.
  void complete() {
    std::vector<std::pair<containers::TensorInfo, Place>> both;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      both.emplace_back(std::move(tensors_[i]), std::move(places_[i]));
    }
    std::sort(both.begin(), both.end(),
              [](const auto& a, const auto& b) { return a.first.name < b.first.name; });
    for (std::size_t i = 0; i < both.size(); ++i) {
      tensors_[i] = std::move(both[i].first);
      places_[i] = std::move(both[i].second);
      if (i == 0 || tensors_[i].name != tensors_[i - 1].name) continue;
      throw Error(ErrorCode::bad_description, fmt::format("two files hold {}", tensors_[i].name))
          .hint("the files come from different runs: quantize again");
    }
  }

  std::span<const containers::TensorInfo> tensors() const noexcept override { return tensors_; }

  const containers::TensorInfo* find(std::string_view name) const noexcept override {
    return containers::find_tensor(tensors_, name);
  }

  TensorView read(std::string_view name) const override {
    const Place& place = place_of(name);
    return sources_[place.source]->read(place.key);
  }

  TensorView read_rows(std::string_view name, std::int64_t first,
                       std::int64_t count) const override {
    const Place& place = place_of(name);
    return sources_[place.source]->read_rows(place.key, first, count);
  }

  void release(std::string_view name) const noexcept override {
    const containers::TensorInfo* info = find(name);
    if (info == nullptr) return;
    const Place& place = places_[static_cast<std::size_t>(info - tensors_.data())];
    sources_[place.source]->release(place.key);
  }

  std::string file_of(std::string_view name) const override {
    const Place& place = place_of(name);
    return sources_[place.source]->file_of(place.key);
  }

  std::vector<fs::path> files() const override {
    std::vector<fs::path> all;
    for (const auto& source : sources_) {
      for (fs::path& path : source->files())
        all.push_back(std::move(path));
    }
    return all;
  }

 private:
  struct Place {
    std::size_t source = 0;
    std::string key;
  };

  const Place& place_of(std::string_view name) const {
    const containers::TensorInfo* info = find(name);
    if (info != nullptr) return places_[static_cast<std::size_t>(info - tensors_.data())];
    std::vector<std::string> known;
    for (const containers::TensorInfo& tensor : tensors_)
      known.push_back(tensor.name);
    const std::string near = closest_match(name, known);
    throw Error(ErrorCode::tensor_missing, std::string(name))
        .hint(near.empty() ? "none of the .npy files holds it"
                           : fmt::format("did you mean \"{}\"?", near));
  }

  std::vector<std::unique_ptr<containers::TensorSource>> sources_;
  std::vector<containers::TensorInfo> tensors_;  // sorted by name, as are the places
  std::vector<Place> places_;
};

std::string_view infer_type(const containers::TensorSource& source, const std::string& module) {
  const auto has = [&](Part part) { return source.find(tensor_name(module, part)) != nullptr; };
  if (!has(Part::weight_scale)) return "W8A8S";
  if (has(Part::input_scale)) return "W8A8";
  const TensorView weight = source.read(tensor_name(module, Part::weight));
  const bool narrow = std::all_of(weight.data.begin(), weight.data.end(), [](std::byte byte) {
    const auto code = static_cast<std::int8_t>(byte);
    return code >= -8 && code <= 7;
  });
  source.release(tensor_name(module, Part::weight));
  return narrow ? "W4A16" : "W8A16";
}

bool is_quantized(const containers::TensorSource& source, std::string_view module) {
  const auto has = [&](Part part) { return source.find(tensor_name(module, part)) != nullptr; };
  return has(Part::weight) && (has(Part::weight_scale) || has(Part::deq_scale));
}

}  // namespace

std::unique_ptr<containers::TensorSource> open_npy_folder(const fs::path& folder) {
  auto whole = std::make_unique<NpyFolder>();
  for (std::size_t i = 0; i < kNpyFileCount; ++i) {
    const auto file = static_cast<NpyFile>(i);
    const fs::path path = folder / fmt::format("{}.npy", kNpyFileNames[i]);
    if (file != NpyFile::quant_weight && !containers::npy_dict_exists(path)) continue;
    whole->add(file, containers::open_npy_dict(path));
  }
  try {
    whole->complete();
  } catch (Error& error) {
    error.at(folder.string());
    throw;
  }
  return whole;
}

Description infer_description(const containers::TensorSource& source) {
  Description description;
  std::string_view type = "W8A16";
  std::string module;
  for (const containers::TensorInfo& info : source.tensors()) {
    const auto split = split_part_name(info.name);
    if (!split.has_value() || split->part == Part::bias || !is_quantized(source, split->module)) {
      description.tags.emplace_back(info.name, kFloatTag);
      continue;
    }
    if (split->module != module) {
      module = split->module;
      type = infer_type(source, module);
      description.scheme_tag = type;
    }
    description.tags.emplace_back(info.name, type);
  }
  return description;
}

}  // namespace pare::layout
