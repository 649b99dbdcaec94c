#include "export/parts.h"

#include "core/error.h"
#include "export/static_algebra.h"

#include <fmt/format.h>

#include <span>

namespace pare::export_ {
namespace {

constexpr std::array<std::string_view, kPartCount> kPartNames = {
    "weight",      "bias",         "weight_scale", "weight_offset",
    "input_scale", "input_offset", "quant_bias",   "deq_scale"};

bool is_static(const quant::Scheme& scheme) noexcept {
  return scheme.activations == quant::Activations::static_tensor;
}

Packing packing_in(const LinearPlan& linear, Int4 int4) noexcept {
  return int4 == Int4::packed ? packing_of(linear.scheme, linear.in) : Packing::none;
}

bool is_per_tensor(const LinearPlan& linear) noexcept {
  return linear.scheme.granularity == quant::Granularity::tensor;
}

Shape scale_shape(const LinearPlan& linear) {
  if (is_per_tensor(linear)) return {1};
  return {linear.out, linear.scheme.groups(linear.in)};
}

DType dtype_of(Part part, const LinearPlan& linear, DType model_dtype) noexcept {
  switch (part) {
    case Part::weight:
      return DType::i8;
    case Part::bias:
      return linear.bias_dtype.value_or(DType::f32);
    case Part::weight_scale:
    case Part::weight_offset:
      return linear.scale_dtype;
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

Shape shape_of(Part part, const LinearPlan& linear, Int4 int4) {
  switch (part) {
    case Part::weight:
      return packed_shape(linear.out, linear.in, packing_in(linear, int4));
    case Part::weight_scale:
    case Part::weight_offset:
      return scale_shape(linear);
    case Part::input_scale:
    case Part::input_offset:
      return {1};
    case Part::deq_scale:
      return {is_per_tensor(linear) ? 1 : linear.out};
    case Part::bias:
    case Part::quant_bias:
      break;
  }
  return {linear.out};
}

/// Values that must come back exactly: they are what the codes were made with.
Tensor store_exactly(std::span<const float> values, const formats::TensorInfo& info) {
  for (const float value : values) {
    if (round_through(value, info.dtype) == value) continue;
    throw Error(ErrorCode::internal,
                fmt::format("{}: {} is not exact in {}", info.name, value, name_of(info.dtype)));
  }
  return store_floats(values, info.dtype, info.shape);
}

void check_against_plan(const quant::QuantizedLinear& q, const LinearPlan& linear) {
  const auto refuse = [&](std::string_view what) {
    throw Error(ErrorCode::internal, fmt::format("{}: {} differs from the plan", q.name, what));
  };
  if (q.scheme != linear.scheme) refuse("scheme");
  if (q.out != linear.out || q.in != linear.in) refuse("shape");
  if (q.codes.size() != static_cast<std::size_t>(q.out * q.in)) refuse("number of codes");
  const auto scales = static_cast<std::size_t>(scale_shape(linear).numel());
  if (q.scales.size() != scales || q.zeros.size() != scales) refuse("number of scales");
  if (q.bias.has_value() != linear.bias_dtype.has_value()) refuse("presence of a bias");
  if (q.bias.has_value() && q.bias->shape() != Shape{q.out}) refuse("shape of the bias");
  if (q.input.has_value() != is_static(q.scheme)) refuse("presence of activation parameters");
}

/// Makes the values of one linear's parts; what several parts need is computed once.
class PartValues {
 public:
  PartValues(const quant::QuantizedLinear& q, Packing packing) : q_(q), packing_(packing) {
    if (!q.input.has_value()) return;
    deq_ = deq_scales(q);
    quant_bias_ = quant_biases(q, deq_);
  }

  void give(const DeclaredTensor& tensor, const TensorTaker& take) const {
    if (tensor.part == Part::bias) return take(tensor, q_.bias->view());
    if (tensor.part == Part::weight && packing_ == Packing::none) {
      return take(tensor, {DType::i8, tensor.info.shape, std::as_bytes(std::span(q_.codes))});
    }
    take(tensor, make(tensor).view());
  }

 private:
  Tensor make(const DeclaredTensor& tensor) const {
    const formats::TensorInfo& info = tensor.info;
    switch (tensor.part) {
      case Part::weight:
        return pack_int4(q_.codes, q_.out, q_.in, packing_);
      case Part::weight_scale:
        return store_exactly(q_.scales, info);
      case Part::weight_offset:
        return store_exactly(q_.zeros, info);
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

std::vector<Part> parts_of(quant::Activations activations, bool has_bias) {
  std::vector<Part> parts;
  for (const Part part : kParts) {
    const bool for_static = part >= Part::input_scale;
    if (part == Part::bias && !has_bias) continue;
    if (for_static && activations != quant::Activations::static_tensor) continue;
    parts.push_back(part);
  }
  return parts;
}

std::vector<DeclaredTensor> declare_linear(const LinearPlan& linear, DType model_dtype, Int4 int4) {
  std::vector<DeclaredTensor> tensors;
  for (const Part part : parts_of(linear.scheme.activations, linear.bias_dtype.has_value())) {
    DeclaredTensor tensor;
    tensor.info = {tensor_name(linear.name, part), dtype_of(part, linear, model_dtype),
                   shape_of(part, linear, int4)};
    tensor.tag = part == Part::bias ? kFloatTag : quant::ascend_type_of(linear.scheme);
    tensor.module = linear.name;
    tensor.part = part;
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::vector<DeclaredTensor> declare_items(const ExportPlan& plan, Int4 int4) {
  std::vector<DeclaredTensor> tensors;
  for (const Item& item : plan.items) {
    if (!item.linear.has_value()) {
      tensors.push_back({.info = item.tensor, .tag = std::string(kFloatTag)});
      continue;
    }
    for (DeclaredTensor& tensor : declare_linear(*item.linear, plan.model_dtype, int4)) {
      tensors.push_back(std::move(tensor));
    }
  }
  return tensors;
}

void emit_linear(const quant::QuantizedLinear& q, const LinearPlan& linear, DType model_dtype,
                 Int4 int4, const TensorTaker& take) {
  check_against_plan(q, linear);
  try {
    const PartValues values(q, packing_in(linear, int4));
    for (const DeclaredTensor& tensor : declare_linear(linear, model_dtype, int4)) {
      values.give(tensor, take);
    }
  } catch (Error& error) {
    error.at(q.name);
    throw;
  }
}

}  // namespace pare::export_
