#include "layouts/ascend/safetensors_files.h"

#include "containers/safetensors/writer.h"
#include "layouts/ascend/description.h"
#include "layouts/folder_files.h"
#include "layouts/tensor_pieces.h"

#include <algorithm>
#include <cmath>
#include <system_error>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

class SafetensorsSink final : public TensorSink {
 public:
  SafetensorsSink(const containers::SafetensorsLayout& layout,
                  const std::vector<DeclaredTensor>& tensors)
      : writer_(layout, infos_of(tensors)) {}

  bool concurrent() const noexcept override { return true; }

  void put(const DeclaredTensor& tensor, const TensorView& value,
           const GiveBack& give_back) override {
    for_each_piece(value, [&](std::size_t offset, std::span<const std::byte> bytes) {
      writer_.write_bytes(tensor.info.name, offset, bytes);
      give_back();
    });
  }

  std::vector<std::string> finish() override { return writer_.finish(); }

 private:
  containers::SafetensorsWriter writer_;
};

std::optional<std::size_t> shard_bytes(const ParamMap& params) {
  const double gib = params.number("part_file_size");
  if (!(gib > 0)) return std::nullopt;
  return std::max<std::size_t>(1, static_cast<std::size_t>(std::ldexp(gib, 30)));
}

}  // namespace

std::string weight_base_name(std::string_view scheme_tag) {
  return "quant_model_weight_" + lower_case(scheme_tag);
}

std::unique_ptr<TensorSink> make_safetensors_sink(const fs::path& folder,
                                                  const std::string& scheme_tag,
                                                  const std::vector<DeclaredTensor>& tensors,
                                                  const ParamMap& params) {
  containers::SafetensorsLayout layout;
  layout.folder = folder;
  layout.base_name = weight_base_name(scheme_tag);
  layout.max_shard_bytes = shard_bytes(params);
  layout.file_mode = kWeightMode;
  layout.index_mode = kJsonMode;
  return std::make_unique<SafetensorsSink>(layout, tensors);
}

std::unique_ptr<containers::TensorSource> open_weights(const fs::path& folder,
                                                       std::string_view scheme_tag) {
  const fs::path single = folder / (weight_base_name(scheme_tag) + ".safetensors");
  std::error_code unreadable;
  return containers::open_checkpoint(fs::exists(single, unreadable) ? single : folder);
}

bool holds_weights(const fs::path& folder) {
  return !files_named(folder, "quant_model_weight_", ".safetensors").empty();
}

std::vector<containers::TensorInfo> infos_of(const std::vector<DeclaredTensor>& tensors) {
  std::vector<containers::TensorInfo> infos;
  infos.reserve(tensors.size());
  for (const DeclaredTensor& tensor : tensors)
    infos.push_back(tensor.info);
  return infos;
}

}  // namespace pare::layout
