// Which linears a model has, and for each: will it be quantized, or kept and why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "containers/tensor_source.h"
#include "model/graph.h"

namespace pare::pipeline {

/// One linear of the model. `block` is -1 for linears outside the decoder blocks.
struct LinearEntry {
  std::string name;
  std::int64_t out = 0;
  std::int64_t in = 0;
  std::string weight_source;  // tensor that holds the weight (the embedding for a tied head)
  std::int64_t block = -1;
  std::optional<model::LinearRole> role;
  std::string kept_because;   // "" = will be quantized

  bool quantized() const noexcept { return kept_because.empty(); }
  std::int64_t weights() const noexcept { return out * in; }
};

/// The linears of a known architecture in registration order, the head last.
std::vector<LinearEntry> linears_of(const model::ModelGraph& graph,
                                    const containers::TensorSource& source);

/// The linears of an unknown model: float matrices named *.weight whose names do not say that they
/// are embeddings, norms or heads; heads are listed last so that they count as the last linear.
std::vector<LinearEntry> linears_by_name(const containers::TensorSource& source);

/// Marks linears named by a pattern (`*` and `?`, or the exact name) as kept.
/// Errors: pattern_matches_nothing with a near match.
void keep_by_pattern(std::vector<LinearEntry>& linears, const std::vector<std::string>& patterns);

/// Marks the last linear as kept.
void keep_last(std::vector<LinearEntry>& linears);

/// Blocks in which only some of the linears that engines fuse on loading (q/k/v, gate/up) are kept:
/// one line each, "block 3: k_proj is quantized, q_proj and v_proj are not".
std::vector<std::string> split_fusions(const std::vector<LinearEntry>& linears);

/// True when `name` matches `pattern`: `*` any run of characters, `?` any one.
bool matches_pattern(std::string_view pattern, std::string_view name) noexcept;

}  // namespace pare::pipeline
