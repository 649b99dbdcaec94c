// Options that compress and export-dat share: how weights are coded, and which.
#pragma once

#include "pare/codec.h"
#include "pare/job.h"
#include "pipeline/pack/pseudo_sparse.h"
#include "verb.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::app {

std::span<const ParamSpec> codec_params() noexcept;

struct CodecOptions {
  codec::Tier tier = codec::Tier::dense;
  std::vector<std::string> disable;  // names or patterns of what stays uncompressed
  std::optional<pipeline::PseudoSparse> sparse;
};

/// Warns when weights will be changed. Errors: bad_usage for a seed that nothing uses.
CodecOptions read_codec_options(const Context& ctx, const ParamMap& values, std::string_view verb);

/// One line of --verbose.
struct CodedItem {
  std::string name;
  std::size_t from = 0;  // bytes
  std::size_t to = 0;
  std::string note;  // why it was not coded; "" when it was
};
void show_coded(Console& console, const std::vector<CodedItem>& items);

/// to / from; 1 when there is nothing.
double ratio_of(std::size_t to, std::size_t from) noexcept;

}  // namespace pare::app
