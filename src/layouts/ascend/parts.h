// Which tensors a quantized linear becomes: their names, order, types, shapes and values. Plans,
// writers and descriptions all take them from here, so that they cannot differ.
#pragma once

#include "layouts/ascend/math/int4.h"
#include "layouts/layout.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// The tensors of one linear, in the order they are written.
enum class Part : std::uint8_t {
  weight,
  bias,
  weight_scale,
  weight_offset,
  weight_scale_second,
  weight_offset_second,
  scale_bias,
  input_scale,
  input_offset,
  quant_bias,
  deq_scale,
  weight_power
};
inline constexpr std::size_t kPartCount = 12;
inline constexpr std::array<Part, kPartCount> kParts = {Part::weight,
                                                        Part::bias,
                                                        Part::weight_scale,
                                                        Part::weight_offset,
                                                        Part::weight_scale_second,
                                                        Part::weight_offset_second,
                                                        Part::scale_bias,
                                                        Part::input_scale,
                                                        Part::input_offset,
                                                        Part::quant_bias,
                                                        Part::deq_scale,
                                                        Part::weight_power};

/// "weight_scale"
std::string_view name_of(Part part) noexcept;
/// "model.layers.0.mlp.up_proj" + ".weight_scale"
std::string tensor_name(std::string_view module, Part part);

/// Module and part of a tensor's name; nullopt when it ends like none of the parts.
struct PartName {
  std::string_view module;
  Part part = Part::weight;
};
std::optional<PartName> split_part_name(std::string_view tensor) noexcept;

/// Whether 4-bit weights share bytes in a layout.
enum class Int4 { unpaired, paired };

/// Whether linears have a part: some have a bias, or codes that are linear in a power.
enum class Presence : std::uint8_t { never, sometimes, always };
Presence presence_of(Part part, quant::CodeForm form, quant::Activations activations,
                     Int4 int4) noexcept;

/// The tag of float tensors in descriptions.
inline constexpr std::string_view kFloatTag = "FLOAT";

/// One tensor of the output.
struct DeclaredTensor {
  containers::TensorInfo info;
  std::string tag;           // "FLOAT", "W8A8", …
  std::string module;        // of a quantized linear, else ""
  Part part = Part::weight;  // when `module` is not ""
};

std::vector<DeclaredTensor> declare_linear(const quant::LinearHeader& linear, DType model_dtype,
                                           Int4 int4);
std::vector<DeclaredTensor> declare_items(const OutputPlan& plan, Int4 int4);

/// Computes the tensors of a linear and hands them over, one at a time, in declared order.
/// Errors: internal when the linear is not what the plan says; out_of_range when a scale or a
/// quant_bias does not fit its type.
using PartSink = std::function<void(const DeclaredTensor&, const TensorView&)>;
void emit_linear(const quant::QuantizedLinear& q, DType model_dtype, Int4 int4,
                 const PartSink& take);

}  // namespace pare::layout
