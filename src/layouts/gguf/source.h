// A GGUF file as a checkpoint with Hugging Face's names and order of rows.
#pragma once

#include "containers/gguf/file.h"
#include "containers/tensor_source.h"
#include "io/file.h"
#include "layouts/gguf/model.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pare::layout {

/// Float tensors have their types; others are U8 [rows, bytes of a row] under the names of their
/// weights, and the blocks in a row are as the file holds them. Where the file holds rotary pairs
/// the rows are brought into Hugging Face's order, in memory of their own.
/// Threads: as TensorSource.
class GgufSource final : public containers::TensorSource {
 public:
  /// Opens the one GGUF file of a folder.
  /// Errors: those of GgufModel and of the header; file_not_found; bad_description for a tensor
  /// without a place in the model, another architecture than config.json's, or rows that do not
  /// divide into heads.
  explicit GgufSource(const std::filesystem::path& folder);

  std::span<const containers::TensorInfo> tensors() const noexcept override { return infos_; }
  const containers::TensorInfo* find(std::string_view name) const noexcept override;
  TensorView read(std::string_view name) const override;
  void release(std::string_view name) const noexcept override;
  void populate(std::string_view name) const noexcept override;
  std::string file_of(std::string_view name) const override;
  std::vector<std::filesystem::path> files() const override { return {file_.path()}; }

  /// The tensor in the file; nullptr when there is none.
  const containers::GgufTensor* stored(std::string_view name) const noexcept;
  const containers::GgufHeader& header() const noexcept { return header_; }

 private:
  struct Place {
    std::size_t tensor = 0;      // of the header
    std::int64_t head_size = 0;  // rows of a head that are reordered; 0 = none are
  };

  void add(std::size_t tensor);
  const Place* place(std::string_view name) const noexcept;
  TensorView in_model_order(const containers::TensorInfo& info, const Place& place) const;

  GgufModel model_;
  io::MappedFile file_;
  containers::GgufHeader header_;
  std::vector<containers::TensorInfo> infos_;  // by name
  std::map<std::string, Place, std::less<>> places_;
};

/// Says what stands in the way of a folder whose file holds what Pare does not decode, or is a part
/// of a model, before anything else is asked of it. Errors: scheme_not_supported,
/// feature_not_supported, file_not_found and those of the header.
void refuse_unreadable_gguf(const std::filesystem::path& folder);

/// The GGUF files of a folder without safetensors, by name.
std::vector<std::string> gguf_files(const std::filesystem::path& folder);

}  // namespace pare::layout
