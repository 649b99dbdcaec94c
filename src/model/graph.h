// The modules of a model as one list, which everything that walks over a model reads: with archs/
// the only place where tensor names have meaning.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/config.h"
#include "pare/tensor.h"

namespace pare::model {

enum class ModuleKind : std::uint8_t { embedding, linear, norm, head_norm, head };

/// What a module does in its block, or beside the blocks.
enum class Role : std::uint8_t {
  embedding,
  q, k, v, o,
  q_norm, k_norm,
  gate, up, down,
  input_norm, mlp_norm,
  final_norm,
  head
};

/// Where in a block an input is read; linears that read the same input share its statistics.
enum class Site : std::uint8_t { attention_input, attention_output, mlp_input, mlp_hidden };
inline constexpr std::array kSites = {Site::attention_input, Site::attention_output,
                                      Site::mlp_input, Site::mlp_hidden};

inline constexpr std::int64_t kNoBlock = -1;
inline constexpr std::int64_t kNoExpert = -1;

/// One module of a model. Its weight is rows [first_row, first_row + out) of the tensor `source`,
/// which several modules share where a checkpoint fuses them, or ties the head to the embedding.
struct Module {
  std::string name;  // without ".weight"
  ModuleKind kind = ModuleKind::linear;
  std::optional<Role> role;       // nullopt: known by name and shape alone
  std::int64_t block = kNoBlock;  // of a decoder block's modules
  std::int64_t expert = kNoExpert;
  Shape shape;                // of the weight: [O, I], or [D] of a norm
  bool bias = false;          // the architecture gives it one
  bool row_parallel = false;  // engines split its inputs among devices, else its outputs
  std::optional<Site> site;   // that a linear reads, or a norm writes
  std::string source;
  std::int64_t first_row = 0;

  std::int64_t out() const { return shape[0]; }
  std::int64_t in() const { return shape[1]; }
  std::int64_t weights() const { return shape.numel(); }
  std::string weight_name() const { return name + ".weight"; }
  std::string bias_name() const { return name + ".bias"; }
  /// Whether it multiplies by a matrix: a linear of a block, or the head.
  bool multiplies() const noexcept {
    return kind == ModuleKind::linear || kind == ModuleKind::head;
  }
};

enum class NormKind : std::uint8_t { rms, layer };
/// serial: attention, then the MLP; parallel: both read the block's input.
enum class ResidualOrder : std::uint8_t { serial, parallel };
/// gated: down(silu(gate) * up); plain: down(act(up)); experts: several of them behind a router.
enum class MlpKind : std::uint8_t { gated, plain, experts };

/// How the blocks of an architecture are built, beyond the modules they have.
struct BlockSpec {
  NormKind norm = NormKind::rms;
  ResidualOrder residual = ResidualOrder::serial;
  MlpKind mlp = MlpKind::gated;
  bool fused_qkv = false;  // one module gives queries, keys and values
};

struct ModelGraph {
  ModelConfig config;
  BlockSpec spec;
  /// In the order of registration: embedding, block after block, final norm, head.
  std::vector<Module> modules;

  /// The modules of one block, in their order.
  std::span<const Module> block(std::int64_t index) const noexcept;
  /// The module of a role that stands beside the blocks. Errors: internal when there is none.
  const Module& module(Role role) const;
};

/// A module of a block by its role; nullptr when the block has none.
const Module* find_role(std::span<const Module> block, Role role,
                        std::int64_t expert = kNoExpert) noexcept;

/// Modules by name, as long as the graph lives.
using ModuleIndex = std::unordered_map<std::string_view, const Module*>;
ModuleIndex index_modules(const ModelGraph& graph);

/// "a.b" for "a.b.weight": the module that a tensor belongs to.
std::string module_of(std::string_view tensor);

}  // namespace pare::model
