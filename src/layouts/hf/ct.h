// compressed-tensors: what its configuration says of the linears, made and read.
// Source: docs/formats/compressed-tensors.md
#pragma once

#include "layouts/hf/config.h"
#include "layouts/layout.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

inline constexpr std::string_view kCtPacked = ".weight_packed";
inline constexpr std::string_view kCtWeight = ".weight";
inline constexpr std::string_view kCtScale = ".weight_scale";
inline constexpr std::string_view kCtShape = ".weight_shape";
inline constexpr std::string_view kCtZero = ".weight_zero_point";
inline constexpr std::string_view kCtGroups = ".weight_g_idx";
inline constexpr std::string_view kCtInputScale = ".input_scale";
inline constexpr std::string_view kCtInputZero = ".input_zero_point";

/// Weight-only linears pack their codes into words, those with 8-bit activations do not.
bool is_ct_packed(const quant::Scheme& scheme) noexcept;

/// The quantization_config of a plan: one group of settings for each kind of linear.
io::Json ct_config(const OutputPlan& plan);

/// One entry of "config_groups".
struct CtConfigGroup {
  std::vector<std::string> targets;
  int weight_bits = 0;
  std::string strategy;         // "channel", "group", "tensor"
  std::int64_t group_size = 0;  // 0 = none
  quant::Activations activations = quant::Activations::none;
};

/// Every group, and the modules that "ignore" names in full.
struct CtConfig {
  std::vector<CtConfigGroup> groups;
  std::vector<std::string> ignored;
};

/// Errors: bad_config; scheme_not_supported for formats, types, bits and activations that Pare does
/// not read.
CtConfig read_ct_config(const QuantConfig& config);

std::unique_ptr<QuantizedCheckpoint> open_ct(const std::filesystem::path& folder);

}  // namespace pare::layout
