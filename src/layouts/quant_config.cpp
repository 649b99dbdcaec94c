#include "layouts/quant_config.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <utility>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr io::JsonLimits kLimits = {.max_bytes = std::size_t{64} << 20, .max_depth = 32};

std::optional<QuantConfig> of_file(const fs::path& file) {
  std::error_code unreadable;
  if (!fs::exists(file, unreadable)) return std::nullopt;
  io::Json json = io::read_json(file, kLimits);
  if (!json.is_object()) return std::nullopt;
  return QuantConfig(std::move(json), file);
}

std::optional<QuantConfig> of_model_config(const fs::path& file) {
  const auto whole = of_file(file);
  if (!whole.has_value()) return std::nullopt;
  for (const char* key : {"quantization_config", "compression_config"}) {
    const auto found = whole->json().find(key);
    if (found == whole->json().end() || found->is_null()) continue;
    if (!found->is_object()) whole->refuse(fmt::format("\"{}\" is no object", key), "");
    // Other programs' folders have the key too, with nothing that says how to read the weights.
    if (found->contains("quant_method") || found->contains("format")) {
      return QuantConfig(*found, file);
    }
  }
  return std::nullopt;
}

std::string lower(std::string word) {
  for (char& c : word)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return word;
}

}  // namespace

QuantConfig::QuantConfig(io::Json json, fs::path file)
    : json_(std::move(json)), file_(std::move(file)) {}

const io::Json* QuantConfig::find(std::string_view key, std::string_view other) const {
  for (const std::string_view name : {key, other}) {
    const auto found = json_.find(std::string(name));
    if (!name.empty() && found != json_.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

std::string QuantConfig::text(std::string_view key, std::string_view other,
                              std::string_view if_absent) const {
  const io::Json* value = find(key, other);
  if (value == nullptr) return std::string(if_absent);
  if (!value->is_string()) refuse(fmt::format("\"{}\" is no text", key), "");
  return value->get<std::string>();
}

std::int64_t QuantConfig::integer(std::string_view key, std::string_view other,
                                  std::int64_t if_absent) const {
  const io::Json* value = find(key, other);
  if (value == nullptr) return if_absent;
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 32;
  const bool fits = value->is_number_unsigned() ? value->get<std::uint64_t>() <= kLargest
                                                : *value == io::Json(-1);
  if (!fits) refuse(fmt::format("\"{}\" is no usable whole number", key), "");
  return value->get<std::int64_t>();
}

bool QuantConfig::flag(std::string_view key, bool if_absent) const {
  const io::Json* value = find(key, "");
  if (value == nullptr) return if_absent;
  if (!value->is_boolean()) refuse(fmt::format("\"{}\" is neither true nor false", key), "");
  return value->get<bool>();
}

void QuantConfig::refuse(const std::string& detail, std::string hint) const {
  if (hint.empty()) hint = "the file is damaged or was made by another program";
  throw Error(ErrorCode::bad_config, "quantization_config: " + detail)
      .at(file_.string())
      .hint(std::move(hint));
}

void QuantConfig::refuse_feature(const std::string& detail, std::string hint) const {
  throw Error(ErrorCode::scheme_not_supported, detail).at(file_.string()).hint(std::move(hint));
}

std::optional<QuantConfig> find_quant_config(const fs::path& folder) {
  if (auto found = of_model_config(folder / "config.json")) return found;
  if (auto found = of_file(folder / "quantize_config.json")) return found;
  return of_file(folder / "quant_config.json");
}

QuantConfig read_quant_config(const fs::path& folder) {
  auto found = find_quant_config(folder);
  if (found.has_value()) return *std::move(found);
  throw Error(ErrorCode::file_not_found, "no configuration that says how the model is quantized")
      .at(folder.string())
      .hint("config.json needs a \"quantization_config\" with a \"quant_method\"");
}

std::string quant_method(const QuantConfig& config) {
  const std::string method = lower(config.text("quant_method", "method", ""));
  if (!method.empty()) return method;
  const std::string name = config.file().filename().string();
  if (name == "quantize_config.json" && config.json().contains("bits")) return "gptq";
  if (name == "quant_config.json" && config.json().contains("w_bit")) return "awq";
  if (config.json().contains("config_groups")) return "compressed-tensors";
  return "";
}

std::string checkpoint_format(const QuantConfig& config, std::string_view if_absent) {
  const std::string own = config.text("version", "", "");
  if (quant_method(config) == "awq" && !own.empty()) return lower(own);
  return lower(config.text("checkpoint_format", "format", if_absent));
}

}  // namespace pare::layout
