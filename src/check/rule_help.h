// What several families of rules share.
#pragma once

#include "check/json_view.h"
#include "check/layouts.h"
#include "check/rule.h"
#include "model/module_names.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::check {

using model::FusedNames;
using model::fused_sets;
using model::in_block;
using model::is_head;
using model::is_row_parallel;
using model::last_name;
using model::parent_of;

/// Layouts whose weights are safetensors files.
inline constexpr std::array kSafetensorsLayouts = {kFloat,  kAwq,      kGptq,  kCt,
                                                   kAscend, kAscendV1, kPacked};
/// The same with those that have no rules of their own: what is said of files holds for them too.
inline constexpr std::array kWithSafetensors = {kFloat,  kAwq,      kGptq,   kCt,
                                                kAscend, kAscendV1, kPacked, kOther};
/// Layouts with quantized linears that headers show.
inline constexpr std::array kQuantizedLayouts = {kAwq, kGptq, kCt, kAscend, kAscendV1};
/// Layouts that config.json describes.
inline constexpr std::array kHfLayouts = {kAwq, kGptq, kCt};

/// Layouts that have config.json and tokenizer beside them: all but GGUF, which holds both.
inline constexpr std::array kFolderLayouts = {kFloat,  kAwq,      kGptq, kCt,
                                              kAscend, kAscendV1, kNpy,  kPacked};

/// "a, b, c and 4 more"
std::string some_of(const std::vector<std::string>& names);

/// Where the configuration of the quantization stands, as messages put it.
std::string config_place(const Folder& folder);
std::optional<std::int64_t> config_integer(const Folder& folder, std::string_view key);
std::optional<bool> config_flag(const Folder& folder, std::string_view key);

/// torch_dtype, or dtype as newer files have it; "" when config.json does not say.
std::string config_dtype(const Folder& folder);

/// Values of a part as words; none when it is absent, or no I32.
std::vector<std::uint32_t> words_of(const Folder& folder, const std::string& tensor);
/// Values as f32, as far as the type is I32, I64, or a float that weights have; none otherwise.
std::vector<float> values_of(const Folder& folder, const std::string& tensor);

/// Float linears inside the blocks: those that an engine must be told to leave alone.
std::vector<std::string> float_linears_in_blocks(const Folder& folder);

/// A tied head has no tensor of its own: whether the model has one.
bool has_tied_head(const Folder& folder);

}  // namespace pare::check
