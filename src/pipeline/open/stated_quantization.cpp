#include "pipeline/open/stated_quantization.h"

#include <fmt/format.h>

#include <cstdint>
#include <system_error>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

bool has_value(const io::Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && !found->is_null() && !found->empty();
}

std::optional<std::int64_t> block_side(const io::Json& size) {
  constexpr std::int64_t kLargest = 1 << 20;
  if (!size.is_number_integer() || size < 1 || size > kLargest) return std::nullopt;
  return size.get<std::int64_t>();
}

}  // namespace

std::string StatedQuantization::method() const {
  for (const char* name : {"quant_method", "quant_algo", "method", "format"}) {
    const auto found = value.find(name);
    if (found != value.end() && found->is_string()) return found->get<std::string>();
  }
  return "";
}

std::string StatedQuantization::text() const {
  const std::string name = method();
  return name.empty() ? fmt::format("\"{}\" in config.json", key)
                      : fmt::format("{} (\"{}\" in config.json)", name, key);
}

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

}  // namespace pare::pipeline
