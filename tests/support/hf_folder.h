// A folder in a Hugging Face style layout in memory, to be changed before it is written; and the
// linear whose words in every layout are known.
#pragma once

#include "containers/safetensors/writer.h"
#include "io/file.h"
#include "io/json.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "support/made_up_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace pare::test {

/// 8 x 8 codes u = (3 o + 5 i) mod 16 less 8, one group; zero points and scales differ by row.
/// The words were packed by AutoAWQ's, AutoGPTQ's and compressed-tensors' own functions.
inline quant::QuantizedLinear golden_linear(std::int64_t group_size = 8) {
  quant::QuantizedLinear q;
  q.name = "a";
  q.scheme = {.weight_bits = 4,
              .symmetric = false,
              .granularity = quant::Granularity::group,
              .group_size = group_size};
  q.out = 8;
  q.in = 8;
  q.scale_dtype = DType::f16;
  for (int o = 0; o < 8; ++o) {
    for (int i = 0; i < 8; ++i)
      q.codes.push_back(static_cast<std::int8_t>((3 * o + 5 * i) % 16 - 8));
  }
  for (const int zero : {8, 7, 9, 6, 1, 15, 3, 12})
    q.zeros.push_back(static_cast<float>(zero - 8));
  q.scales = {.5F, .25F, .125F, 1, 2, .0625F, .5F, .03125F};
  return q;
}

inline MadeUpModel one_linear(quant::QuantizedLinear q) {
  MadeUpModel model;
  model.plan.model_dtype = DType::f16;
  model.add_linear(std::move(q));
  return model;
}

inline Tensor words(Shape shape, const std::vector<std::uint32_t>& values) {
  return Tensor::from<std::uint32_t>(DType::i32, std::move(shape), values);
}

inline std::vector<std::uint32_t> words_of(const TensorView& view) {
  std::vector<std::uint32_t> values(view.data.size() / 4);
  std::memcpy(values.data(), view.data.data(), view.data.size());
  return values;
}

/// Every tensor of a safetensors file, by name.
inline std::map<std::string, Tensor> tensors_of(const std::filesystem::path& file) {
  std::map<std::string, Tensor> tensors;
  const auto source = containers::open_checkpoint(file);
  for (const containers::TensorInfo& info : source->tensors()) {
    tensors[info.name] =
        Tensor::from<std::byte>(info.dtype, info.shape, source->read(info.name).data);
  }
  return tensors;
}

/// Writes `<folder>/<base_name>.safetensors`.
inline void write_tensors(const std::map<std::string, Tensor>& tensors,
                          const std::filesystem::path& folder, const std::string& base_name) {
  std::vector<containers::TensorInfo> infos;
  for (const auto& [name, tensor] : tensors)
    infos.push_back({name, tensor.dtype(), tensor.shape()});
  containers::SafetensorsLayout layout;
  layout.folder = folder;
  layout.base_name = base_name;
  containers::SafetensorsWriter writer(layout, infos);
  for (const auto& [name, tensor] : tensors)
    writer.write(name, tensor.view());
  writer.finish();
}

/// Changes tensors of the one weight file of a folder.
template <typename Change>
void replace_tensors(const std::filesystem::path& folder, const Change& change) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::filesystem::path file = entry.path();
    if (file.extension() != ".safetensors") continue;
    std::map<std::string, Tensor> tensors = tensors_of(file);
    change(tensors);
    std::filesystem::remove(file);
    write_tensors(tensors, folder, file.stem().string());
    return;
  }
  ADD_FAILURE() << "no weight file in " << folder;
}

/// The tensors and config.json of a folder.
struct HfFolder {
  std::map<std::string, Tensor> tensors;
  io::Json config = io::Json::object();
  std::string format;

  /// What an layout makes of a model.
  static HfFolder of(std::string_view format, const MadeUpModel& model) {
    const layout::Layout& layout = layout::find_layout(format);
    const TemporaryFolder folder;
    write_model(layout, model, folder.path(), defaults_of(layout));
    HfFolder files;
    files.format = format;
    files.tensors = tensors_of(folder.path() / "model.safetensors");
    files.config = io::read_json(folder.path() / "config.json");
    return files;
  }

  io::Json& quantization() { return config["quantization_config"]; }

  void write(const std::filesystem::path& folder) const {
    write_tensors(tensors, folder, "model");
    io::write_text(folder / "config.json", config.dump(2));
  }

  quant::QuantizedLinear read(const std::string& module,
                              std::vector<std::string>* notes = nullptr) const {
    const TemporaryFolder folder;
    write(folder.path());
    const layout::Layout* layout = layout::layout_of(folder.path());
    if (layout == nullptr) throw Error(ErrorCode::internal, "no layout knows the folder");
    const auto checkpoint = layout->open(folder.path());
    if (notes != nullptr) *notes = checkpoint->notes();
    return checkpoint->linear(module).value().linear;
  }

  /// Opening, planning or reading the linear must fail with this code and these words.
  void expect_refused(const std::string& module, ErrorCode code, const std::string& word) const {
    const TemporaryFolder folder;
    write(folder.path());
    try {
      layout::find_layout(format).open(folder.path())->linear(module);
      ADD_FAILURE() << "accepted; expected " << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), ::testing::HasSubstr(word));
    }
  }
};

}  // namespace pare::test
