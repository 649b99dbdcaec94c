// What the names of modules say where no architecture does: blocks, heads, and the linears that
// engines fuse and split. Engines go by names, so the same few names are all there is to know.
#pragma once

#include "model/graph.h"

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pare::model {

/// "down_proj" of "model.layers.3.mlp.down_proj", and what stands before it with the dot.
std::string_view last_name(std::string_view module) noexcept;
std::string_view parent_of(std::string_view module) noexcept;

/// The block and the name inside it: "model.layers.3." and "mlp.down_proj"; nullopt outside blocks.
struct InBlock {
  std::string_view block;
  std::string_view name;
};
std::optional<InBlock> in_block(std::string_view module) noexcept;

/// Linears that become one on loading and read one input: q, k and v; gate and up.
using FusedNames = std::span<const std::string_view>;
struct FusedSet {
  FusedNames names;
  Site site;  // that they read
};
std::span<const FusedSet> fused_sets() noexcept;

/// Whether tensor parallelism splits the inputs of the linear (o_proj, down_proj) and not its
/// outputs.
bool is_row_parallel(std::string_view module) noexcept;

/// The output layer of a model, by any of its names: one that predicts tokens, classes or scores.
bool is_head(std::string_view module) noexcept;

/// Whether a matrix of this name is something else than a linear: an embedding, a norm.
bool is_no_linear(std::string_view module) noexcept;

}  // namespace pare::model
