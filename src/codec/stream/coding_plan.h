// The decision how a tensor is coded, from a look at some of it.
#pragma once

#include "codec/rans/rans_table.h"
#include "codec/stream/stream_info.h"
#include "pare/codec.h"

#include <cstdint>
#include <optional>

namespace pare::codec::detail {

struct CodingPlan {
  // Dense: one table for all, or, with `per_run`, the pattern for the tables of the runs.
  std::optional<RansTable> table;
  bool per_run = false;
  std::uint32_t tiles_per_table = 1;
  // Fast: what the nibbles count from.
  std::optional<std::uint8_t> nibble_base;
};

/// Looks at all of a small tensor and at parts of a large one. Neither table nor base: leave it.
CodingPlan plan_coding(const TensorView& tensor, Transform transform, Tier tier);

/// The table of the run that starts at tile `first`; like `pattern` where nothing better is found.
RansTable table_of_run(const TensorView& tensor, Transform transform, std::int64_t first,
                       std::int64_t tiles, const RansTable& pattern);

}  // namespace pare::codec::detail
