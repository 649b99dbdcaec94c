// The modules of a decoder by role: the only place, with archs/, where tensor names have meaning.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "model/config.h"

namespace pare::model {

/// The linears of a block, in the order in which Hugging Face registers them.
enum class LinearRole { q, k, v, o, gate, up, down };
inline constexpr std::array kLinearRoles = {LinearRole::q,    LinearRole::k,  LinearRole::v,
                                            LinearRole::o,    LinearRole::gate,
                                            LinearRole::up,   LinearRole::down};

/// Where in a block an input is read; linears that read the same input share its statistics.
enum class Site { attention_input, attention_output, mlp_input, mlp_hidden };
inline constexpr std::array kSites = {Site::attention_input, Site::attention_output,
                                      Site::mlp_input, Site::mlp_hidden};

constexpr Site site_of(LinearRole role) noexcept {
  switch (role) {
    case LinearRole::q:
    case LinearRole::k:
    case LinearRole::v: return Site::attention_input;
    case LinearRole::o: return Site::attention_output;
    case LinearRole::gate:
    case LinearRole::up: return Site::mlp_input;
    case LinearRole::down: break;
  }
  return Site::mlp_hidden;
}

/// Module names of one block (no ".weight").
struct BlockNames {
  std::array<std::string, kLinearRoles.size()> linears;
  std::string input_norm;
  std::string mlp_norm;
  std::string q_norm;  // "" when the architecture has none
  std::string k_norm;

  const std::string& linear(LinearRole role) const noexcept {
    return linears[static_cast<std::size_t>(role)];
  }
};

struct ModelGraph {
  ModelConfig config;
  std::string embedding;
  std::vector<BlockNames> blocks;
  std::string final_norm;
  std::string head;
};

/// Output and input features of a linear: rows and columns of its weight.
struct LinearShape {
  std::int64_t out = 0;
  std::int64_t in = 0;
  bool bias = false;
};
LinearShape linear_shape(const ModelConfig& config, LinearRole role) noexcept;

}  // namespace pare::model
