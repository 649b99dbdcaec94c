// The description of a folder whose weights `pare compress` has coded.
#pragma once

#include "io/json.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pare::layout {

/// A weight file, and a tensor in it that is coded, as the file calls them.
using CodedTensor = std::pair<std::string, std::string>;

/// A description in which coded tensors have types that only Pare knows ("W8A8+PARE1"), so that no
/// other loader takes the payload for weights; nullopt when `json` is no description.
/// `codec_version` is noted in it. Source: docs/formats/packed.md
std::optional<std::string> packed_description(const io::Json& json,
                                              const std::vector<CodedTensor>& coded,
                                              int codec_version);

}  // namespace pare::layout
