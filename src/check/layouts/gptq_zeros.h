// What the zero fields of GPTQ files hold, counted over one linear or many.
#pragma once

#include "check/folder.h"

#include <cstddef>

namespace pare::check {

struct ZeroFields {
  std::size_t fields = 0;
  std::size_t half = 0;       // 8 of 4 bits, 128 of 8: symmetric zeros as v2 stores them
  std::size_t half_less = 0;  // 7, 127: as v1 does
  std::size_t full = 0;       // 15, 255: adding one carries into the neighbour

  bool all_half() const noexcept { return fields > 0 && half == fields; }
  bool all_half_less() const noexcept { return fields > 0 && half_less == fields; }
};

/// Fields of 4 and 8 bits; none of other widths.
ZeroFields zero_fields(const Folder& folder, const Linear& linear);

/// "gptq" or "gptq_v2" as the configuration says.
std::string stated_gptq_format(const Folder& folder);

}  // namespace pare::check
