// Cosines and sines of the rotary embedding for a range of positions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/config.h"
#include "pare/tensor.h"

namespace pare::model {

/// Inverse frequencies for a sequence of `sequence_length` tokens: D/2 values.
/// Math: inv[i] = theta^(-2i/D), then the scaling rule of the config; all in f32 like the models'
/// own code, so that angles agree to the last bits.
std::vector<float> rope_inverse_frequencies(const RopeConfig& rope, std::int64_t head_dim,
                                            std::int64_t max_positions,
                                            std::int64_t sequence_length);

/// cos and sin [T, D/2] for positions first … first + T - 1 of a sequence that long.
struct RopeTable {
  Matrix cos;
  Matrix sin;
};
RopeTable make_rope_table(const ModelConfig& config, std::int64_t first, std::int64_t count);

}  // namespace pare::model
