// The quantization part of Hugging Face style configurations: found, and read with checks.
#pragma once

#include "io/json.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace pare::layout {

/// A JSON object that says how a folder is quantized, and the file it stands in.
class QuantConfig {
 public:
  QuantConfig(io::Json json, std::filesystem::path file);

  const io::Json& json() const noexcept { return json_; }
  const std::filesystem::path& file() const noexcept { return file_; }

  /// The value of the first of two keys that is there and not null (formats renamed some).
  /// Errors: bad_config when it has another type.
  std::string text(std::string_view key, std::string_view other, std::string_view if_absent) const;
  std::int64_t integer(std::string_view key, std::string_view other, std::int64_t if_absent) const;
  bool flag(std::string_view key, bool if_absent) const;

  /// Throws Error(bad_config), or another code, at this file.
  [[noreturn]] void refuse(const std::string& detail, std::string hint) const;
  [[noreturn]] void refuse_feature(const std::string& detail, std::string hint) const;

 private:
  const io::Json* find(std::string_view key, std::string_view other) const;

  io::Json json_;
  std::filesystem::path file_;
};

/// From config.json ("quantization_config", or "compression_config" of older files), else
/// quantize_config.json (AutoGPTQ), else quant_config.json (AutoAWQ); nullopt when none has one.
/// Errors: bad_json, bad_config, file_io.
std::optional<QuantConfig> find_quant_config(const std::filesystem::path& folder);

/// The same; none is an error. Errors: file_not_found as well.
QuantConfig read_quant_config(const std::filesystem::path& folder);

/// "awq", "gptq", "compressed-tensors", …; old files that say nothing are told by their name.
std::string quant_method(const QuantConfig& config);

/// "gemm", "gptq", "gptq_v2", "pack-quantized": the layout within the method; `if_absent` when the
/// file does not say.
std::string checkpoint_format(const QuantConfig& config, std::string_view if_absent);

}  // namespace pare::layout
