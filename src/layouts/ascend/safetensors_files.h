// The safetensors side of the ascend layouts: file names, the sink, and finding files again.
#pragma once

#include "containers/tensor_source.h"
#include "layouts/ascend/writer.h"
#include "layouts/layout.h"

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

inline constexpr std::array kSafetensorsParams = {
    ParamSpec{.name = "part_file_size",
              .type = ParamType::number,
              .min = 1e-6,
              .max = 1e6,
              .help = "largest weight file in GiB; more become numbered files with an index "
                      "(default: one file)"},
};

/// "quant_model_weight_w8a8": the weight files' name without its ending.
std::string weight_base_name(std::string_view scheme_tag);

/// Begins quant_model_weight_<type>.safetensors, or its shards. Errors: output_not_writable.
std::unique_ptr<TensorSink> make_safetensors_sink(const std::filesystem::path& folder,
                                                  const std::string& scheme_tag,
                                                  const std::vector<DeclaredTensor>& tensors,
                                                  const ParamMap& params);

/// Opens the weights in `folder`: the single file of that type, else the shards.
/// Errors: file_not_found and those of the container.
std::unique_ptr<containers::TensorSource> open_weights(const std::filesystem::path& folder,
                                                       std::string_view scheme_tag);

/// Whether any weight file of the ascend layouts lies in `folder`.
bool holds_weights(const std::filesystem::path& folder);

/// The declared tensors as plain infos.
std::vector<containers::TensorInfo> infos_of(const std::vector<DeclaredTensor>& tensors);

}  // namespace pare::layout
