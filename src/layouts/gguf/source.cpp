#include "layouts/gguf/source.h"

#include "containers/find_tensor.h"
#include "containers/in_quotes.h"
#include "containers/numbered_name.h"
#include "layouts/folder_files.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <set>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

using containers::GgufTensor;
using containers::TensorInfo;

/// A model may lie in several files; llama.cpp's tool joins them from the name of the first.
void refuse_part(const fs::path& folder, const std::string& file) {
  const auto part = containers::numbered_name(file, ".gguf");
  if (!part || part->count == 1) return;
  throw Error(ErrorCode::feature_not_supported,
              fmt::format("{} is one of the {} parts of a GGUF model", file, part->count))
      .at(folder.string())
      .hint(fmt::format("join them: llama-gguf-split --merge {}-00001-of-{:05}.gguf joined.gguf; "
                        "then put the joined file beside config.json without the parts",
                        part->base, part->count));
}

fs::path only_file(const fs::path& folder) {
  const std::vector<std::string> files = files_named(folder, "", ".gguf");
  if (files.empty()) {
    throw Error(ErrorCode::file_not_found, "no *.gguf file in the folder").at(folder.string());
  }
  refuse_part(folder, files.front());
  if (files.size() == 1) return folder / files.front();
  throw Error(
      ErrorCode::feature_not_supported,
      fmt::format("{} GGUF files in one folder: {}, {}, …", files.size(), files[0], files[1]))
      .at(folder.string())
      .hint("put the one that is meant into a folder of its own, with config.json");
}

/// "Q4_K, Q6_K": the types that Pare does not decode.
std::set<std::string_view> undecoded_types(const containers::GgufHeader& header) {
  std::set<std::string_view> types;
  for (const GgufTensor& tensor : header.tensors) {
    if (!tensor.block->decoded) types.insert(tensor.block->name);
  }
  return types;
}

[[noreturn]] void contradiction(const std::string& detail, const fs::path& file) {
  throw Error(ErrorCode::bad_description, detail)
      .at(file.string())
      .hint("the config.json beside the file must be that of the same model");
}

/// Blocks become bytes: their rows are what the model and the file agree upon.
TensorInfo info_of(const GgufTensor& tensor, std::string name) {
  TensorInfo info{std::move(name), tensor.block->dtype.value_or(DType::u8), tensor.shape};
  if (tensor.block->dtype.has_value()) return info;
  std::vector<std::int64_t> dims(tensor.shape.dims().begin(), tensor.shape.dims().end());
  dims.back() = tensor.row_bytes();
  info.shape = Shape(std::move(dims));
  return info;
}

}  // namespace

GgufSource::GgufSource(const fs::path& folder)
    : model_(folder),
      file_(only_file(folder)),
      header_(containers::parse_gguf_header(file_.bytes(), file_.path().string())) {
  const std::string arch = header_.text("general.architecture").value_or("");
  if (arch != model_.traits().architecture) {
    contradiction(fmt::format("the file is of architecture {}, config.json means {}",
                              containers::in_quotes(arch), model_.traits().architecture),
                  file_.path());
  }
  for (std::size_t i = 0; i < header_.tensors.size(); ++i)
    add(i);
  std::sort(infos_.begin(), infos_.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  file_.release(0, header_.data_begin);
}

void GgufSource::add(std::size_t index) {
  const GgufTensor& tensor = header_.tensors[index];
  const bool factors = tensor.name == kRotaryFactors;
  const std::string name = factors ? tensor.name : model_.model_name(tensor.name);
  if (name.empty()) {
    contradiction(fmt::format("tensor {} has no place in the model that config.json describes",
                              containers::in_quotes(tensor.name)),
                  file_.path());
  }
  Place place{index, 0};
  const GgufModule* module = factors ? nullptr : model_.find_of_tensor(name);
  if (module != nullptr && module->rotary_heads > 0) {
    const std::int64_t rows = tensor.shape[0];
    place.head_size = rows / module->rotary_heads;
    if (rows % module->rotary_heads != 0 || place.head_size % 2 != 0) {
      contradiction(fmt::format("{} has {} rows, which are no {} heads",
                                containers::in_quotes(tensor.name), rows, module->rotary_heads),
                    file_.path());
    }
  }
  infos_.push_back(info_of(tensor, name));
  places_.emplace(name, place);
}

const GgufSource::Place* GgufSource::place(std::string_view name) const noexcept {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &found->second;
}

const GgufTensor* GgufSource::stored(std::string_view name) const noexcept {
  const Place* found = place(name);
  return found == nullptr ? nullptr : &header_.tensors[found->tensor];
}

const TensorInfo* GgufSource::find(std::string_view name) const noexcept {
  return containers::find_tensor(infos_, name);
}

TensorView GgufSource::read(std::string_view name) const {
  const TensorInfo* info = find(name);
  if (info == nullptr) {
    throw Error(ErrorCode::tensor_missing, fmt::format("\"{}\"", name)).at(file_.path().string());
  }
  const Place& where = *place(name);
  if (where.head_size > 0) return in_model_order(*info, where);
  const GgufTensor& tensor = header_.tensors[where.tensor];
  return {info->dtype, info->shape, file_.bytes().subspan(tensor.begin, tensor.size)};
}

TensorView GgufSource::in_model_order(const TensorInfo& info, const Place& where) const {
  const GgufTensor& tensor = header_.tensors[where.tensor];
  const auto bytes = file_.bytes().subspan(tensor.begin, tensor.size);
  const auto rows = static_cast<std::size_t>(info.shape[0]);
  const std::size_t row_bytes = bytes.size() / rows;
  auto owned = std::make_shared<Tensor>(info.dtype, info.shape);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto from =
        static_cast<std::size_t>(rotary_file_row(static_cast<std::int64_t>(row), where.head_size));
    std::memcpy(owned->bytes().data() + row * row_bytes, bytes.data() + from * row_bytes,
                row_bytes);
  }
  TensorView view = owned->view();
  view.owner = std::move(owned);
  return view;
}

void GgufSource::release(std::string_view name) const noexcept {
  const GgufTensor* tensor = stored(name);
  if (tensor != nullptr) file_.release(tensor->begin, tensor->size);
}

void GgufSource::populate(std::string_view name) const noexcept {
  const GgufTensor* tensor = stored(name);
  if (tensor != nullptr) file_.populate(tensor->begin, tensor->size);
}

std::string GgufSource::file_of(std::string_view name) const {
  return place(name) == nullptr ? "" : file_.path().filename().string();
}

void refuse_unreadable_gguf(const fs::path& folder) {
  const io::MappedFile file(only_file(folder));
  const auto types =
      undecoded_types(containers::parse_gguf_header(file.bytes(), file.path().string()));
  if (types.empty()) return;
  throw Error(ErrorCode::scheme_not_supported,
              fmt::format("a GGUF file with blocks of {}", fmt::join(types, ", ")))
      .at(file.path().string())
      .hint(
          "Pare reads F32, F16, BF16, Q4_0, Q4_1 and Q8_0: start from the model's safetensors, "
          "or let llama-quantize --allow-requantize make Q8_0 of the file");
}

std::vector<std::string> gguf_files(const fs::path& folder) {
  if (!files_named(folder, "", ".safetensors").empty()) return {};
  return files_named(folder, "", ".gguf");
}

}  // namespace pare::layout
