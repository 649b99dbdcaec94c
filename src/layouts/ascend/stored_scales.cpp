#include "layouts/ascend/stored_scales.h"

#include "layouts/ascend/math/scale_bias.h"
#include "layouts/ascend/math/static_algebra.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pare::layout {
namespace {

bool all_zero(const std::vector<float>& zeros) {
  return std::all_of(zeros.begin(), zeros.end(), [](float zero) { return zero == 0; });
}

void read_uniform(const AscendParts& found, quant::QuantizedLinear& q) {
  const Shape shape = found[Part::weight_scale]->shape;
  q.scale_dtype = found[Part::weight_scale]->dtype;
  q.scales = checked_floats(found, Part::weight_scale, shape, kScale);
  q.zeros = checked_floats(found, Part::weight_offset, shape, kWhole);
  q.scheme.symmetric = all_zero(q.zeros);
}

void read_two_stage(const AscendParts& found, quant::QuantizedLinear& q) {
  q.scale_dtype = found[Part::weight_scale]->dtype;
  const Shape rows{q.out, 1};
  q.row_scales = checked_floats(found, Part::weight_scale, rows, kScale);
  const Shape groups = found[Part::weight_scale_second]->shape;
  q.scales = checked_floats(found, Part::weight_scale_second, groups, kScale);
  const auto offsets = checked_i64(found, Part::weight_offset_second, groups);
  const bool none = std::all_of(offsets.begin(), offsets.end(), [](auto o) { return o == 0; });
  if (!none || !all_zero(checked_floats(found, Part::weight_offset, rows, kWhole))) {
    throw Error(ErrorCode::tensor_mismatch,
                "an offset is not 0; two stages of scales are symmetric")
        .hint(kDamaged);
  }
  q.zeros.assign(q.scales.size(), 0.0F);
}

quant::ActivationParams read_input(const AscendParts& found) {
  quant::ActivationParams input;
  input.stored_dtype = found[Part::input_scale]->dtype;
  input.scale = checked_floats(found, Part::input_scale, Shape{1}, kPositiveScale)[0];
  input.zero_point = checked_floats(found, Part::input_offset, Shape{1}, kInt8)[0];
  return input;
}

std::vector<float> read_deq_scales(const AscendParts& found, const quant::QuantizedLinear& q) {
  const TensorView& view = *found[Part::deq_scale];
  const Shape expected{q.scheme.granularity == quant::Granularity::tensor ? 1 : q.out};
  if (view.shape != expected) {
    mismatch(Part::deq_scale, fmt::format("I64 or F32 {}", expected.text()), view);
  }
  std::vector<float> deq = load_deq_scales(view);
  for (std::size_t row = 0; row < deq.size(); ++row) {
    if (!kScale.allowed(deq[row])) bad_value(Part::deq_scale, row, deq[row], kScale.otherwise);
  }
  return deq;
}

/// deq_scale must be the product of the scales, up to the rounding of half-precision products.
void check_deq_scales(const quant::QuantizedLinear& q, const std::vector<float>& deq) {
  for (std::size_t row = 0; row < deq.size(); ++row) {
    const float product = q.input->scale * q.scales[row];
    if (std::fabs(deq[row] - product) <= product * 0x1p-6F + 0x1p-24F) continue;
    throw Error(ErrorCode::bad_description,
                fmt::format("deq_scale of row {} is {:.6g}, but input_scale times weight_scale is "
                            "{:.6g}",
                            row, deq[row], product))
        .hint(kDamaged);
  }
}

void read_sparse(const AscendParts& found, const std::vector<float>& deq,
                 quant::QuantizedLinear& q) {
  q.scale_dtype = DType::f32;
  q.scales = weight_scales_of(deq, q.input->scale);
  for (std::size_t row = 0; row < q.scales.size(); ++row) {
    if (!kScale.allowed(q.scales[row])) {
      bad_value(Part::deq_scale, row, deq[row], "is too large for its input_scale");
    }
  }
  q.zeros.assign(q.scales.size(), 0.0F);
  if (!found[Part::weight_power].has_value()) return;
  q.exponent = checked_floats(found, Part::weight_power, Shape{1}, kPositiveScale)[0];
}

/// 8-bit activations are multiplied with bare codes: whole rows, and static ones without zeros.
void refuse_groups(const AscendParts& found, const quant::Scheme& scheme) {
  const bool fixed = scheme.activations == quant::Activations::static_tensor;
  const bool uniform = scheme.form == quant::CodeForm::uniform;
  const bool rows = fixed || (uniform && scheme.activations != quant::Activations::none);
  const bool groups = rows && scheme.granularity == quant::Granularity::group;
  if (!groups && (!fixed || scheme.symmetric)) return;
  mismatch(Part::weight_scale, "one symmetric scale per row or matrix, as 8-bit activations ask",
           *found[scale_part(*found.scheme)]);
}

}  // namespace

Part scale_part(const quant::NamedScheme& scheme) noexcept {
  switch (scheme.form) {
    case quant::CodeForm::uniform:
      break;
    case quant::CodeForm::outliers:
      return Part::deq_scale;
    case quant::CodeForm::two_stage:
      return Part::weight_scale_second;
  }
  return Part::weight_scale;
}

StaticParts read_scales(const AscendParts& found, quant::QuantizedLinear& q) {
  const quant::CodeForm form = found.scheme->form;
  if (form == quant::CodeForm::two_stage) read_two_stage(found, q);
  if (form == quant::CodeForm::uniform) read_uniform(found, q);
  refuse_groups(found, q.scheme);
  if (q.scheme.activations != quant::Activations::static_tensor) return {};
  q.input = read_input(found);
  StaticParts parts;
  parts.deq = read_deq_scales(found, q);
  if (form == quant::CodeForm::outliers) read_sparse(found, parts.deq, q);
  check_deq_scales(q, parts.deq);
  parts.quant_bias = checked_i32(found, Part::quant_bias, Shape{q.out});
  return parts;
}

std::vector<float> read_scale_bias(const AscendParts& found, const quant::QuantizedLinear& q) {
  if (!found[Part::scale_bias].has_value()) return {};
  const TensorView& view = *found[Part::scale_bias];
  const bool split =
      view.shape == Shape{q.out, scale_bias_runs(true)} && q.in % scale_bias_runs(true) == 0;
  if (!split && view.shape != Shape{q.out, 1}) {
    mismatch(Part::scale_bias, fmt::format("F32 [{}, 1] or [{}, 16]", q.out, q.out), view);
  }
  std::vector<float> stored = checked_floats(found, Part::scale_bias, view.shape, kFinite);
  const std::vector<float> exact = scale_biases(q, view.shape[1]);
  const std::vector<float> tolerances = scale_bias_tolerances(q, view.shape[1]);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (std::fabs(stored[i] - exact[i]) <= tolerances[i]) continue;
    throw Error(ErrorCode::bad_description,
                fmt::format("scale_bias, value {} is {:.6g}, but eight times the weights add up to "
                            "{:.6g}",
                            i, stored[i], exact[i]))
        .hint(kDamaged);
  }
  return stored;
}

}  // namespace pare::layout
