#include "pipeline/open/float_weights.h"

#include "containers/fp8_blocks.h"
#include "io/json.h"
#include "layouts/layout.h"
#include "layouts/quant_config.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

/// How names of tensors end that hold codes, or what codes are multiplied by.
constexpr std::array<std::string_view, 19> kCodedEndings = {
    ".qweight",           ".qzeros",        ".weight_packed", ".weight_scale", ".weight_scale_inv",
    ".weight_zero_point", ".deq_scale",     ".quant_bias",    ".scales",       ".absmax",
    ".quant_map",         ".SCB",           ".W_q",           ".q_weight",     "_blocks",
    ".trellis",           ".weight_offset", "._data",         "._scale"};

[[noreturn]] void refuse(const std::string& how, std::string where, std::string hint) {
  throw Error(ErrorCode::tensor_mismatch, "the weights are quantized already: " + how)
      .at(std::move(where))
      .hint(std::move(hint));
}

bool is_coded(const containers::TensorInfo& info) {
  const auto ends = [&](std::string_view ending) { return info.name.ends_with(ending); };
  if (std::any_of(kCodedEndings.begin(), kCodedEndings.end(), ends)) return true;
  return info.name.ends_with(".weight") && info.shape.rank() == 2 && !is_weight_float(info.dtype) &&
         info.dtype != DType::f64;
}

const containers::TensorInfo* first_coded(const containers::TensorSource& source) {
  const auto tensors = source.tensors();
  const auto found = std::find_if(tensors.begin(), tensors.end(), is_coded);
  return found == tensors.end() ? nullptr : &*found;
}

bool has_value(const io::Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && !found->is_null() && !found->empty();
}

/// What config.json says about quantization, under any of the names that programs use.
struct StatedQuantization {
  std::string key;
  io::Json value;

  std::string method() const {
    for (const char* name : {"quant_method", "quant_algo", "method", "format"}) {
      const auto found = value.is_object() ? value.find(name) : value.end();
      if (found != value.end() && found->is_string()) return found->get<std::string>();
    }
    return "";
  }
  std::string text() const {
    const std::string name = method();
    return name.empty() ? fmt::format("\"{}\" in config.json", key)
                        : fmt::format("{} (\"{}\" in config.json)", name, key);
  }
};

std::optional<StatedQuantization> stated_quantization(const fs::path& folder) {
  std::error_code unreadable;
  const fs::path file = folder / "config.json";
  if (!fs::exists(file, unreadable)) return std::nullopt;
  const io::Json config = io::read_json(file);
  if (!config.is_object()) return std::nullopt;
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    if (has_value(config, key)) return StatedQuantization{key, config.at(key)};
  }
  return std::nullopt;
}

std::optional<std::int64_t> block_side(const io::Json& size) {
  constexpr std::int64_t kLargest = 1 << 20;
  if (!size.is_number_integer() || size < 1 || size > kLargest) return std::nullopt;
  return size.get<std::int64_t>();
}

/// The blocks of DeepSeek-V3 style FP8 weights.
std::optional<containers::Fp8Blocks> fp8_blocks(const StatedQuantization& stated) {
  if (stated.method() != "fp8" || !has_value(stated.value, "weight_block_size"))
    return std::nullopt;
  const io::Json& size = stated.value.at("weight_block_size");
  if (!size.is_array() || size.size() != 2) return std::nullopt;
  const auto rows = block_side(size[0]);
  const auto columns = block_side(size[1]);
  if (!rows.has_value() || !columns.has_value()) return std::nullopt;
  return containers::Fp8Blocks{*rows, *columns};
}

void refuse_stated(const StatedQuantization& stated, const containers::TensorSource& source,
                   const fs::path& folder) {
  const bool floats = first_coded(source) == nullptr;
  refuse(stated.text(), folder.string(),
         floats ? fmt::format("start from the float checkpoint; if these are floats after all, as "
                              "every tensor looks, remove \"{}\" from config.json",
                              stated.key)
                : "start from the float checkpoint");
}

void refuse_coded(const containers::TensorSource& source) {
  const containers::TensorInfo* coded = first_coded(source);
  if (coded == nullptr) return;
  refuse(fmt::format("{} holds {} {}", coded->name, name_of(coded->dtype), coded->shape.text()),
         source.file_of(coded->name), "start from the float checkpoint");
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
  refuse_coded(*source);
  return source;
}

}  // namespace pare::pipeline
