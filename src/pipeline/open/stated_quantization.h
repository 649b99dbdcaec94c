// What config.json says about a quantization that no layout of Pare claims.
#pragma once

#include "containers/fp8_blocks.h"
#include "io/json.h"

#include <filesystem>
#include <optional>
#include <string>

namespace pare::pipeline {

struct StatedQuantization {
  std::string key;  // of config.json; programs use three
  io::Json value;

  std::string method() const;  // "fp8"; "" when it does not say
  std::string text() const;    // for messages: fp8 ("quantization_config" in config.json)
};

/// nullopt when config.json says nothing, or there is none. Errors: bad_json.
std::optional<StatedQuantization> stated_quantization(const std::filesystem::path& folder);

/// The blocks of DeepSeek-V3 style FP8 weights, which are read as floats; nullopt for others.
std::optional<containers::Fp8Blocks> fp8_blocks(const StatedQuantization& stated);

}  // namespace pare::pipeline
