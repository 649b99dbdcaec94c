#include "layouts/foreign_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare::layout {
namespace {

struct Mark {
  std::string_view ending;
  std::string_view writer;
};

constexpr std::array kMarks = {
    Mark{"quant_state.bitsandbytes__nf4", "bitsandbytes (nf4)"},
    Mark{"quant_state.bitsandbytes__fp4", "bitsandbytes (fp4)"},
    Mark{".SCB", "bitsandbytes (int8)"},
    Mark{".W_q", "HQQ"},
    Mark{".biases", "MLX"},
    Mark{".q_weight", "ExLlamaV2"},
    Mark{".trellis", "ExLlamaV3"},
    Mark{".codebooks", "AQLM"},
    Mark{".Qidxs", "QuIP#"},
    Mark{"._data", "optimum-quanto"},
    Mark{".bitmask", "sparse weights with a bitmask"},
    Mark{".weight_global_scale", "NVFP4 of compressed-tensors"},
    Mark{".weight_scale_2", "NVFP4 of ModelOpt"},
    Mark{"_scale_inv", "FP8 blocks with weight_scale_inv"},
    Mark{"_blocks", "MXFP4 blocks"},
};

}  // namespace

std::string_view foreign_writer(std::string_view tensor) noexcept {
  const auto found = std::find_if(kMarks.begin(), kMarks.end(),
                                  [&](const Mark& mark) { return tensor.ends_with(mark.ending); });
  return found == kMarks.end() ? "" : found->writer;
}

bool is_odd_matrix(const containers::TensorInfo& tensor) noexcept {
  return tensor.name.ends_with(".weight") && tensor.shape.rank() == 2 &&
         !is_weight_float(tensor.dtype) && tensor.dtype != DType::i8 && tensor.dtype != DType::f64;
}

std::string foreign_weights(std::span<const containers::TensorInfo> tensors) {
  for (const containers::TensorInfo& tensor : tensors) {
    const std::string_view writer = foreign_writer(tensor.name);
    if (!writer.empty()) return std::string(writer);
  }
  const auto odd = std::find_if(tensors.begin(), tensors.end(), is_odd_matrix);
  if (odd == tensors.end()) return "";
  return fmt::format("weights of type {} ({})", odd->type_name(), odd->name);
}

}  // namespace pare::layout
