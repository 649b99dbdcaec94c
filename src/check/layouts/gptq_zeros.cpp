#include "check/layouts/gptq_zeros.h"

#include "check/rule_help.h"

namespace pare::check {

ZeroFields zero_fields(const Folder& folder, const Linear& linear) {
  ZeroFields found;
  if (linear.bits != 4 && linear.bits != 8) return found;
  const std::uint32_t full = linear.bits == 4 ? 15 : 255;
  const std::uint32_t half = (full + 1) / 2;
  for (std::uint32_t word : words_of(folder, linear.name + ".qzeros")) {
    for (int shift = 0; shift < 32; shift += linear.bits) {
      const std::uint32_t field = (word >> shift) & full;
      ++found.fields;
      found.half += field == half ? 1 : 0;
      found.half_less += field == half - 1 ? 1 : 0;
      found.full += field == full ? 1 : 0;
    }
  }
  return found;
}

std::string stated_gptq_format(const Folder& folder) {
  const io::Json* format = member(folder.quantization(), "checkpoint_format", "format");
  return lower_case(text_of(format).value_or("gptq"));
}

}  // namespace pare::check
