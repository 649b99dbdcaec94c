// The JSON file beside the weights: what the model as a whole and every tensor in it is.
#pragma once

#include "layouts/ascend/parts.h"
#include "layouts/layout.h"
#include "quant/named_schemes.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pare::layout {

struct Description {
  std::string version;                                    // "1.0.0" in ascend-v1, else ""
  std::string scheme_tag;                                 // "W8A8"
  std::int64_t group_size = 0;                            // 0 = not stated
  std::vector<std::pair<std::string, std::string>> tags;  // tensor name -> type, in file order
};

/// The version that ascend-v1 descriptions carry.
inline constexpr std::string_view kVersion = "1.0.0";

/// Types in the descriptions of packed folders: of index and info tensors, and what is added to the
/// type of a coded tensor. Reading takes both away. Source: docs/formats/packed.md
inline constexpr std::string_view kPackedTag = "PARE1";
inline constexpr std::string_view kPackedSuffix = "+PARE1";

/// True for the keys that speak of the whole model: no tensor may be called so.
bool is_header_key(std::string_view name) noexcept;

/// "quant_model_description_w8a8.json", and all files of a folder that are called so.
std::string typed_description_name(std::string_view scheme_tag);
std::vector<std::string> typed_descriptions(const std::filesystem::path& folder);

/// Tags of all declared tensors under the plan's type. Version and group size are the caller's.
Description describe(const OutputPlan& plan, const std::vector<DeclaredTensor>& tensors);

/// The JSON text: header keys, then one entry per tensor, indented by 2.
std::string description_text(const Description& description);

/// Reads a description and checks that everything in it is of a kind Pare knows.
/// Errors: file_not_found, bad_json; bad_description for anything that is not a flat object of
/// names and types; scheme_not_supported (naming the tensor) for a type Pare does not write.
Description read_description(const std::filesystem::path& path);
/// What config.json states as "quantization_config"."group_size" for layouts whose description does
/// not; 0 when it states none. Errors: bad_json.
std::int64_t group_size_beside(const std::filesystem::path& folder);

/// Throws Error(bad_description), naming the first differences of both sides, unless exactly the
/// tensors of the description exist.
void check_same_names(const Description& description, const containers::TensorSource& source,
                      const std::filesystem::path& path);

/// Named scheme by description type, nullptr when there is none.
const quant::NamedScheme* scheme_of_type(std::string_view type) noexcept;

/// "w8a8_dynamic" for "W8A8_DYNAMIC": how file names spell a type.
std::string lower_case(std::string_view type);

}  // namespace pare::layout
