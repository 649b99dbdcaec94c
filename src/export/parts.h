// Which tensors a quantized linear becomes: their names, order, types, shapes and values. Plans,
// writers and descriptions all take them from here, so that they cannot differ.
#pragma once

#include "export/exporter.h"
#include "export/int4.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::export_ {

/// The tensors of one linear, in the order they are written.
enum class Part : std::uint8_t {
  weight,
  bias,
  weight_scale,
  weight_offset,
  input_scale,
  input_offset,
  quant_bias,
  deq_scale
};
inline constexpr std::size_t kPartCount = 8;
inline constexpr std::array<Part, kPartCount> kParts = {
    Part::weight,      Part::bias,         Part::weight_scale, Part::weight_offset,
    Part::input_scale, Part::input_offset, Part::quant_bias,   Part::deq_scale};

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

/// The parts of a linear, in order: the last four are for static activations.
std::vector<Part> parts_of(quant::Activations activations, bool has_bias);

/// The tag of float tensors in descriptions.
inline constexpr std::string_view kFloatTag = "FLOAT";

/// Whether 4-bit weights share bytes in a layout.
enum class Int4 { unpacked, packed };

/// One tensor of the output.
struct DeclaredTensor {
  formats::TensorInfo info;
  std::string tag;           // "FLOAT", "W8A8", …
  std::string module;        // of a quantized linear, else ""
  Part part = Part::weight;  // when `module` is not ""
};

std::vector<DeclaredTensor> declare_linear(const LinearPlan& linear, DType model_dtype, Int4 int4);
std::vector<DeclaredTensor> declare_items(const ExportPlan& plan, Int4 int4);

/// Computes the tensors of a linear and hands them over, one at a time, in declared order.
/// Errors: internal when the linear is not what the plan says; out_of_range when a scale or a
/// quant_bias does not fit its type.
using TensorTaker = std::function<void(const DeclaredTensor&, const TensorView&)>;
void emit_linear(const quant::QuantizedLinear& q, const LinearPlan& linear, DType model_dtype,
                 Int4 int4, const TensorTaker& take);

}  // namespace pare::export_
