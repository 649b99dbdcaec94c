// Which linears a model has, and for each: will it be quantized, or kept and why.
#pragma once

#include "model/graph.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pare::pipeline {

/// The linears of a model in the order of registration, the head last, less those that are kept.
class LinearSelection {
 public:
  LinearSelection() = default;
  explicit LinearSelection(std::vector<model::Module> linears) : all_(std::move(linears)) {}

  const std::vector<model::Module>& all() const noexcept { return all_; }
  /// A linear stays in float; the reason given last counts.
  void keep(const std::string& linear, std::string reason);
  /// "" when it will be quantized.
  const std::string& kept_because(const std::string& linear) const noexcept;
  bool quantizes(const model::Module& linear) const noexcept {
    return !kept_.contains(linear.name);
  }

  /// The linears that engines join with this one into one, and itself: q, k and v; gate and up.
  std::vector<std::string> fused_with(const std::string& linear) const;

  std::vector<model::Module> quantized() const;
  std::size_t quantized_count() const noexcept;
  std::int64_t quantized_weights() const;

 private:
  std::vector<model::Module> all_;
  std::map<std::string, std::string> kept_;  // name, reason
};

std::vector<model::Module> linears_of(const model::ModelGraph& graph);

/// Keeps linears named by a pattern (`*` and `?`, or the exact name).
/// Errors: pattern_matches_nothing with a near match.
void keep_by_pattern(LinearSelection& linears, const std::vector<std::string>& patterns);

/// Keeps heads: "the last linear" is one of them, or there is none (a tied head is the embedding).
void keep_heads(LinearSelection& linears);

/// Keeps what decides and does not compute: routers of mixtures of experts, and linears of one row.
/// Small errors there change which expert runs, and engines have no quantized form of them.
void keep_gates(LinearSelection& linears);

/// Blocks in which only some of the linears that engines fuse on loading (q/k/v, gate/up) are kept:
/// one line each, "block 3: k_proj is quantized, q_proj and v_proj are not".
std::vector<std::string> split_fusions(const LinearSelection& linears);

}  // namespace pare::pipeline
