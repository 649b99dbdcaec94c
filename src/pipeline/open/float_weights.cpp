#include "pipeline/open/float_weights.h"

#include "containers/fp8_blocks.h"
#include "layouts/foreign_weights.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "pipeline/open/stated_quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

/// How names end of what layouts of Pare, and others, hold beside or instead of a float weight.
constexpr std::array<std::string_view, 11> kCodedEndings = {
    ".qweight",       ".qzeros",    ".weight_packed", ".weight_scale", ".weight_zero_point",
    ".weight_offset", ".deq_scale", ".quant_bias",    ".scales",       ".absmax",
    "._scale"};

[[noreturn]] void refuse(const std::string& how, std::string where, std::string hint) {
  throw Error(ErrorCode::tensor_mismatch, "the weights are quantized already: " + how)
      .at(std::move(where))
      .hint(std::move(hint));
}

bool is_coded(const containers::TensorInfo& info) {
  const auto ends = [&](std::string_view ending) { return info.name.ends_with(ending); };
  if (std::any_of(kCodedEndings.begin(), kCodedEndings.end(), ends)) return true;
  return info.name.ends_with(".weight") && info.shape.rank() == 2 && info.dtype == DType::i8;
}

/// How the tensors say that they are quantized; "" when none does.
std::string coded_as(const containers::TensorSource& source) {
  std::string foreign = layout::foreign_weights(source.tensors());
  if (!foreign.empty()) return foreign;
  const auto tensors = source.tensors();
  const auto coded = std::find_if(tensors.begin(), tensors.end(), is_coded);
  if (coded == tensors.end()) return "";
  return fmt::format("{} holds {} {}", coded->name, coded->type_name(), coded->shape.text());
}

void refuse_stated(const StatedQuantization& stated, const containers::TensorSource& source,
                   const fs::path& folder) {
  const bool floats = coded_as(source).empty();
  refuse(stated.text(), folder.string(),
         floats ? fmt::format("start from the float checkpoint; if these are floats after all, as "
                              "every tensor looks, remove \"{}\" from config.json",
                              stated.key)
                : "start from the float checkpoint");
}

void refuse_coded(const containers::TensorSource& source, const fs::path& folder) {
  const std::string coded = coded_as(source);
  if (!coded.empty()) refuse(coded, folder.string(), "start from the float checkpoint");
}

}  // namespace

std::unique_ptr<containers::TensorSource> open_float_weights(const fs::path& folder) {
  if (const layout::Layout* layout = layout::layout_of(folder); layout != nullptr) {
    refuse(fmt::format("format {}", layout->id), folder.string(),
           "start from the float checkpoint; `pare convert` turns quantized weights into another "
           "format");
  }
  std::unique_ptr<containers::TensorSource> source = containers::open_checkpoint(folder);
  const std::optional<StatedQuantization> stated = stated_quantization(folder);
  if (stated.has_value()) {
    const auto blocks = fp8_blocks(*stated);
    if (!blocks.has_value()) refuse_stated(*stated, *source, folder);
    source = containers::dequantize_fp8_blocks(std::move(source), *blocks);
  }
  refuse_coded(*source, folder);
  return source;
}

}  // namespace pare::pipeline
