#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pare::model {
namespace {

/// NTK-aware base for sequences longer than the trained length; the identity up to it.
double dynamic_theta(const RopeConfig& rope, std::int64_t head_dim, std::int64_t max_positions,
                     std::int64_t sequence_length) {
  const double trained = static_cast<double>(max_positions);
  const double length = std::max(trained, static_cast<double>(sequence_length));
  const double d = static_cast<double>(head_dim);
  const double stretch = rope.factor * length / trained - (rope.factor - 1);
  return rope.theta * std::pow(stretch, d / (d - 2));
}

/// Long wavelengths are stretched, short ones kept, those between blended.
float llama3_frequency(const RopeConfig& rope, float frequency) {
  const double wavelength = 2 * std::numbers::pi / static_cast<double>(frequency);
  const double original = rope.original_max_positions;
  if (wavelength < original / rope.high_freq_factor) return frequency;
  const float stretched = frequency / static_cast<float>(rope.factor);
  if (wavelength > original / rope.low_freq_factor) return stretched;
  const float smooth = static_cast<float>((original / wavelength - rope.low_freq_factor) /
                                          (rope.high_freq_factor - rope.low_freq_factor));
  return (1 - smooth) * stretched + smooth * frequency;
}

}  // namespace

std::vector<float> rope_inverse_frequencies(const RopeConfig& rope, std::int64_t head_dim,
                                            std::int64_t max_positions,
                                            std::int64_t sequence_length) {
  const double theta = rope.scaling == RopeScaling::dynamic
                           ? dynamic_theta(rope, head_dim, max_positions, sequence_length)
                           : rope.theta;
  std::vector<float> inverse(static_cast<std::size_t>(head_dim / 2));
  for (std::size_t i = 0; i < inverse.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
    float frequency = static_cast<float>(1.0 / std::pow(theta, exponent));
    if (rope.scaling == RopeScaling::linear) frequency /= static_cast<float>(rope.factor);
    if (rope.scaling == RopeScaling::llama3) frequency = llama3_frequency(rope, frequency);
    inverse[i] = frequency;
  }
  return inverse;
}

RopeTable make_rope_table(const ModelConfig& config, std::int64_t first, std::int64_t count) {
  const std::vector<float> inverse = rope_inverse_frequencies(
      config.rope, config.attention.head_dim, config.max_positions, first + count);
  const auto half = static_cast<std::int64_t>(inverse.size());
  RopeTable table{Matrix(count, half), Matrix(count, half)};
  for (std::int64_t t = 0; t < count; ++t) {
    const auto position = static_cast<float>(first + t);
    for (std::int64_t i = 0; i < half; ++i) {
      const float angle = position * inverse[static_cast<std::size_t>(i)];
      table.cos.view().row(t)[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
      table.sin.view().row(t)[i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  }
  return table;
}

}  // namespace pare::model
