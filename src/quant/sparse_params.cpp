#include "quant/sparse_params.h"

#include <fmt/format.h>

namespace pare::quant {

std::string fraction_warning(const ParamMap& params) {
  const double fraction = params.number("fraction", 0.01);
  if (fraction >= 0.01 && fraction <= 0.1) return "";
  return fmt::format("fraction {} is outside 0.01 to 0.1: {}", fraction,
                     fraction < 0.01 ? "few weights keep more than 4 bits, accuracy may suffer"
                                     : "many weights use all 8 bits, little is left to compress");
}

}  // namespace pare::quant
