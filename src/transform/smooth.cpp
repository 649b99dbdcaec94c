#include "transform/smooth.h"

#include "kernels/quantize.h"
#include "transform/power.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace pare::transform {
namespace {

constexpr float kSmallest = 1e-5F;

/// Row `r` of a weight [O, D] as f32.
void widen(const TensorView& weight, std::int64_t r, std::span<float> out) {
  const std::size_t row_bytes = out.size() * size_of(weight.dtype);
  kernels::widen_row(weight.dtype, weight.data.data() + static_cast<std::size_t>(r) * row_bytes,
                     static_cast<std::int64_t>(out.size()), out.data());
}

/// The norm, folded, and the shift that it now stands for.
std::vector<float> fold_norm(const NormGroup& group, const ChannelMap& map, FoldedGroup& folded) {
  const std::size_t channels = map.scale.size();
  std::vector<float> weight = read_floats(group.norm_weight);
  for (std::size_t c = 0; c < channels; ++c)
    weight[c] /= map.scale[c];
  folded.norm_weight = store_floats(weight, group.norm_weight.dtype, group.norm_weight.shape);
  if (map.shift.empty() && !group.norm_bias.has_value()) return {};
  const std::vector<float> before =
      group.norm_bias.has_value() ? read_floats(*group.norm_bias) : std::vector<float>(channels);
  std::vector<float> bias = before;
  for (std::size_t c = 0; c < channels; ++c) {
    bias[c] = (bias[c] - (map.shift.empty() ? 0.0F : map.shift[c])) / map.scale[c];
  }
  const DType dtype = group.norm_bias.value_or(group.norm_weight).dtype;
  folded.norm_bias = store_floats(bias, dtype, group.norm_weight.shape);
  const std::vector<float> stored = read_floats(folded.norm_bias->view());
  std::vector<float> shift(channels);
  for (std::size_t c = 0; c < channels; ++c)
    shift[c] = before[c] - map.scale[c] * stored[c];
  return map.shift.empty() ? std::vector<float>{} : shift;
}

/// Weight and bias of a linear behind a folded norm.
std::pair<Tensor, std::optional<Tensor>> fold_linear(const Context& ctx,
                                                     const quant::FloatLinear& linear,
                                                     std::span<const float> shift,
                                                     std::span<const float> scale) {
  const std::int64_t out = linear.weight.shape[0];
  const std::size_t channels = scale.size();
  Tensor folded(linear.weight.dtype, linear.weight.shape);
  std::vector<float> bias = linear.bias.has_value()
                                ? read_floats(*linear.bias)
                                : std::vector<float>(static_cast<std::size_t>(out));
  ctx.parallel_for(out, [&](std::int64_t r) {
    std::vector<float> row(channels);
    widen(linear.weight, r, row);
    double sum = 0;
    for (std::size_t c = 0; c < shift.size(); ++c) {
      sum += static_cast<double>(row[c]) * static_cast<double>(shift[c]);
    }
    const auto index = static_cast<std::size_t>(r);
    bias[index] = static_cast<float>(static_cast<double>(bias[index]) + sum);
    for (std::size_t c = 0; c < channels; ++c)
      row[c] *= scale[c];
    const Tensor stored =
        store_floats(row, linear.weight.dtype, Shape{static_cast<std::int64_t>(channels)});
    const std::span<const std::byte> bytes = stored.view().data;
    std::memcpy(folded.bytes().data() + index * bytes.size(), bytes.data(), bytes.size());
  });
  if (shift.empty() && !linear.bias.has_value()) return {std::move(folded), std::nullopt};
  const DType dtype = linear.bias.value_or(linear.weight).dtype;
  return {std::move(folded), store_floats(bias, dtype, Shape{out})};
}

}  // namespace

std::vector<float> channel_centres(std::span<const float> min, std::span<const float> max) {
  std::vector<float> centres(min.size());
  for (std::size_t c = 0; c < min.size(); ++c)
    centres[c] = (max[c] + min[c]) / 2;
  return centres;
}

std::vector<float> centred_maxima(std::span<const float> min, std::span<const float> max,
                                  std::span<const float> shift) {
  std::vector<float> maxima(min.size());
  for (std::size_t c = 0; c < min.size(); ++c) {
    const float z = shift.empty() ? 0.0F : shift[c];
    maxima[c] = std::max(std::fabs(max[c] - z), std::fabs(min[c] - z));
  }
  return maxima;
}

std::vector<float> column_maxima(const Context& ctx, std::span<const TensorView> weights) {
  const auto channels = static_cast<std::size_t>(weights.front().shape[1]);
  std::vector<float> maxima(channels, kSmallest);
  constexpr std::int64_t kRows = 64;
  for (const TensorView& weight : weights) {
    const std::int64_t out = weight.shape[0];
    const std::int64_t tasks = (out + kRows - 1) / kRows;
    std::vector<std::vector<float>> found(static_cast<std::size_t>(tasks));
    ctx.parallel_for(tasks, [&](std::int64_t task) {
      std::vector<float>& most = found[static_cast<std::size_t>(task)];
      most.assign(channels, 0);
      std::vector<float> row(channels);
      for (std::int64_t r = task * kRows; r < std::min(out, (task + 1) * kRows); ++r) {
        widen(weight, r, row);
        for (std::size_t c = 0; c < channels; ++c)
          most[c] = std::max(most[c], std::fabs(row[c]));
      }
    });
    for (const std::vector<float>& most : found) {
      for (std::size_t c = 0; c < channels; ++c)
        maxima[c] = std::max(maxima[c], most[c]);
    }
  }
  return maxima;
}

std::vector<float> smooth_scales(std::span<const float> x_max, std::span<const float> w_max,
                                 float alpha) {
  std::vector<float> scales(x_max.size(), 1.0F);
  for (std::size_t c = 0; c < x_max.size(); ++c) {
    if (x_max[c] == 0) continue;
    scales[c] = std::max(power(x_max[c], alpha) / power(w_max[c], 1.0F - alpha), kSmallest);
  }
  return scales;
}

FoldedGroup fold(const Context& ctx, const NormGroup& group, const ChannelMap& map) {
  FoldedGroup folded;
  const std::vector<float> shift = fold_norm(group, map, folded);
  for (const quant::FloatLinear& linear : group.linears) {
    auto [weight, bias] = fold_linear(ctx, linear, shift, map.scale);
    folded.weights.push_back(std::move(weight));
    folded.biases.push_back(std::move(bias));
  }
  return folded;
}

}  // namespace pare::transform
