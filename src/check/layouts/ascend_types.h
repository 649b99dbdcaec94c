// The types that Ascend descriptions give to tensors, and which engine runs which.
// Source: docs/formats/ascend.md; vllm-ascend, quantization methods of main and tags up to
// v0.25.1rc1
#pragma once

#include <span>
#include <string_view>

namespace pare::check {

/// How vLLM-Ascend serves a dense linear of the type.
enum class Served : unsigned char { yes, only_310p, only_old, never };

struct AscendType {
  std::string_view name;
  int bits = 8;
  bool is_static = false;      // input_scale, input_offset, deq_scale, quant_bias
  bool row_scales = true;      // weight_scale and weight_offset
  bool paired_inputs = false;  // version 1 packs two inputs to a byte with one scale per row
  Served served = Served::yes;
};

std::span<const AscendType> ascend_types() noexcept;
/// nullptr for a type that Pare does not know.
const AscendType* find_ascend_type(std::string_view name) noexcept;

}  // namespace pare::check
