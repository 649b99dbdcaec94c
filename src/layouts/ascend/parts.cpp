#include "layouts/ascend/parts.h"

#include "layouts/ascend/math/scale_bias.h"
#include "layouts/ascend/math/static_algebra.h"
#include "pare/error.h"
#include "quant/named_schemes.h"

#include <fmt/format.h>

#include <span>

namespace pare::layout {
namespace {

constexpr std::array<std::string_view, kPartCount> kPartNames = {"weight",
                                                                 "bias",
                                                                 "weight_scale",
                                                                 "weight_offset",
                                                                 "weight_scale_second",
                                                                 "weight_offset_second",
                                                                 "scale_bias",
                                                                 "input_scale",
                                                                 "input_offset",
                                                                 "quant_bias",
                                                                 "deq_scale",
                                                                 "weight_power"};

Packing packing_in(const quant::LinearHeader& linear, Int4 int4) noexcept {
  return int4 == Int4::paired ? packing_of(linear.scheme, linear.in) : Packing::none;
}

bool is_per_tensor(const quant::LinearHeader& linear) noexcept {
  return linear.scheme.granularity == quant::Granularity::tensor;
}

bool is_two_stage(const quant::Scheme& scheme) noexcept {
  return scheme.form == quant::CodeForm::two_stage;
}

/// Of the scales that weights are multiplied by first: per row, group or tensor.
Shape group_scale_shape(const quant::LinearHeader& linear) {
  if (is_per_tensor(linear)) return {1};
  return {linear.out, linear.scheme.groups(linear.in)};
}

Shape scale_shape(const quant::LinearHeader& linear) {
  return is_two_stage(linear.scheme) ? Shape{linear.out, 1} : group_scale_shape(linear);
}

DType dtype_of(Part part, const quant::LinearHeader& linear, DType model_dtype) noexcept {
  switch (part) {
    case Part::weight:
      return DType::i8;
    case Part::bias:
      return linear.bias_dtype.value_or(DType::f32);
    case Part::weight_scale:
    case Part::weight_offset:
      return linear.scale_dtype;
    case Part::weight_scale_second:
    case Part::scale_bias:
    case Part::weight_power:
      return DType::f32;
    case Part::weight_offset_second:
      return DType::i64;
    case Part::input_scale:
    case Part::input_offset:
      return linear.activation_dtype;
    case Part::quant_bias:
      return DType::i32;
    case Part::deq_scale:
      break;
  }
  return deq_scale_dtype(model_dtype);
}

Shape shape_of(Part part, const quant::LinearHeader& linear, Int4 int4) {
  switch (part) {
    case Part::weight:
      return packed_shape(linear.out, linear.in, packing_in(linear, int4));
    case Part::weight_scale:
    case Part::weight_offset:
      return scale_shape(linear);
    case Part::weight_scale_second:
    case Part::weight_offset_second:
      return group_scale_shape(linear);
    case Part::scale_bias:
      return {linear.out, scale_bias_runs(linear.row_parallel)};
    case Part::input_scale:
    case Part::input_offset:
    case Part::weight_power:
      return {1};
    case Part::deq_scale:
      return {is_per_tensor(linear) ? 1 : linear.out};
    case Part::bias:
    case Part::quant_bias:
      break;
  }
  return {linear.out};
}

bool has_part(const quant::LinearHeader& linear, Part part, Int4 int4) noexcept {
  const quant::Scheme& scheme = linear.scheme;
  const Presence presence = presence_of(part, scheme.form, scheme.activations, int4);
  if (presence != Presence::sometimes) return presence == Presence::always;
  return part == Part::bias ? linear.bias_dtype.has_value() : linear.has_exponent;
}

/// Values that must come back exactly: they are what the codes were made with.
Tensor store_exactly(std::span<const float> values, const containers::TensorInfo& info) {
  for (const float value : values) {
    if (round_through(value, info.dtype) == value) continue;
    throw Error(ErrorCode::internal,
                fmt::format("{}: {} is not exact in {}", info.name, value, name_of(info.dtype)));
  }
  return store_floats(values, info.dtype, info.shape);
}

Tensor store_whole_numbers(std::span<const float> values, const Shape& shape) {
  const std::vector<std::int64_t> whole(values.begin(), values.end());
  return Tensor::from<std::int64_t>(DType::i64, shape, whole);
}

/// Makes the values of one linear's parts; what several parts need is computed once.
class PartValues {
 public:
  PartValues(const quant::QuantizedLinear& q, Packing packing) : q_(q), packing_(packing) {
    if (!q.input.has_value()) return;
    deq_ = deq_scales(q);
    quant_bias_ = quant_biases(q, deq_);
  }

  void give(const DeclaredTensor& tensor, const PartSink& take) const {
    if (tensor.part == Part::bias) return take(tensor, q_.bias->view());
    if (tensor.part == Part::weight && packing_ == Packing::none) {
      return take(tensor, {DType::i8, tensor.info.shape, std::as_bytes(std::span(q_.codes))});
    }
    take(tensor, make(tensor).view());
  }

 private:
  Tensor make(const DeclaredTensor& tensor) const {
    const containers::TensorInfo& info = tensor.info;
    switch (tensor.part) {
      case Part::weight:
        return pack_int4(q_.codes, q_.out, q_.in, packing_);
      case Part::weight_scale:
        return store_exactly(is_two_stage(q_.scheme) ? q_.row_scales : q_.scales, info);
      case Part::weight_offset:
        return is_two_stage(q_.scheme) ? Tensor(info.dtype, info.shape)
                                       : store_exactly(q_.zeros, info);
      case Part::weight_scale_second:
        return store_exactly(q_.scales, info);
      case Part::weight_offset_second:
        return store_whole_numbers(q_.zeros, info.shape);
      case Part::scale_bias:
        return store_floats(scale_biases(q_, scale_bias_runs(q_.row_parallel)), info.dtype,
                            info.shape);
      case Part::weight_power:
        return store_exactly(std::span(&q_.exponent, 1), info);
      case Part::input_scale:
        return store_exactly(std::span(&q_.input->scale, 1), info);
      case Part::input_offset:
        return store_exactly(std::span(&q_.input->zero_point, 1), info);
      case Part::quant_bias:
        return Tensor::from<std::int32_t>(DType::i32, info.shape, quant_bias_);
      case Part::bias:
      case Part::deq_scale:
        break;
    }
    return store_deq_scales(deq_, info.dtype, info.shape);
  }

  const quant::QuantizedLinear& q_;
  Packing packing_;
  std::vector<float> deq_;
  std::vector<std::int32_t> quant_bias_;
};

}  // namespace

std::string_view name_of(Part part) noexcept { return kPartNames[static_cast<std::size_t>(part)]; }

std::string tensor_name(std::string_view module, Part part) {
  return fmt::format("{}.{}", module, name_of(part));
}

std::optional<PartName> split_part_name(std::string_view tensor) noexcept {
  const std::size_t dot = tensor.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  for (const Part part : kParts) {
    if (tensor.substr(dot + 1) == name_of(part)) return PartName{tensor.substr(0, dot), part};
  }
  return std::nullopt;
}

Presence presence_of(Part part, quant::CodeForm form, quant::Activations activations,
                     Int4 int4) noexcept {
  const auto always_if = [](bool so) { return so ? Presence::always : Presence::never; };
  switch (part) {
    case Part::weight:
      break;
    case Part::bias:
      return Presence::sometimes;
    case Part::weight_scale:
    case Part::weight_offset:
      // deq_scale / input_scale says the same where a device needs nothing else.
      return always_if(form != quant::CodeForm::outliers);
    case Part::weight_scale_second:
    case Part::weight_offset_second:
      return always_if(form == quant::CodeForm::two_stage);
    case Part::scale_bias:
      return always_if(form == quant::CodeForm::two_stage && int4 == Int4::paired);
    case Part::input_scale:
    case Part::input_offset:
    case Part::quant_bias:
    case Part::deq_scale:
      return always_if(activations == quant::Activations::static_tensor);
    case Part::weight_power:
      return form == quant::CodeForm::outliers ? Presence::sometimes : Presence::never;
  }
  return Presence::always;
}

std::vector<DeclaredTensor> declare_linear(const quant::LinearHeader& linear, DType model_dtype,
                                           Int4 int4) {
  std::vector<DeclaredTensor> tensors;
  for (const Part part : kParts) {
    if (!has_part(linear, part, int4)) continue;
    DeclaredTensor tensor;
    tensor.info = {tensor_name(linear.name, part), dtype_of(part, linear, model_dtype),
                   shape_of(part, linear, int4)};
    tensor.tag = part == Part::bias ? kFloatTag : quant::scheme_tag_of(linear.scheme);
    tensor.module = linear.name;
    tensor.part = part;
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::vector<DeclaredTensor> declare_items(const OutputPlan& plan, Int4 int4) {
  std::vector<DeclaredTensor> tensors;
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) {
      const std::string tag = entry.tag.empty() ? std::string(kFloatTag) : entry.tag;
      tensors.push_back({.info = entry.tensor, .tag = tag});
      continue;
    }
    for (DeclaredTensor& tensor : declare_linear(*entry.linear, plan.model_dtype, int4)) {
      tensors.push_back(std::move(tensor));
    }
  }
  return tensors;
}

void emit_linear(const quant::QuantizedLinear& q, DType model_dtype, Int4 int4,
                 const PartSink& take) {
  const PartValues values(q, packing_in(q, int4));
  for (const DeclaredTensor& tensor : declare_linear(q, model_dtype, int4)) {
    values.give(tensor, take);
  }
}

}  // namespace pare::layout
