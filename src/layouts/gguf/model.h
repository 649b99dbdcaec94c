// A model's modules under the names that llama.cpp gives them, and the rows it wants reordered.
// Source: docs/formats/gguf.md
#pragma once

#include "model/architecture.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace pare::layout {

/// A module in a GGUF file.
struct GgufModule {
  std::string name;               // "blk.0.attn_q"
  std::int64_t rotary_heads = 0;  // rows are reordered within so many heads; 0 = they are not
  bool may_have_bias = false;     // also where llama.cpp does not load the biases of all linears
};

class GgufModel {
 public:
  /// From config.json. Errors: those of model::read_graph, and unknown_architecture when llama.cpp
  /// does not run the model.
  explicit GgufModel(const std::filesystem::path& folder);

  const model::ModelGraph& graph() const noexcept { return graph_; }
  const model::GgufTraits& traits() const noexcept { return traits_; }

  /// nullptr when the model has no such module.
  const GgufModule* find(std::string_view module) const noexcept;
  /// The same for a tensor, "<module>.weight" or "<module>.bias".
  const GgufModule* find_of_tensor(std::string_view tensor) const noexcept;
  /// "blk.0.attn_q.weight" for "model.layers.0.self_attn.q_proj.weight", which must be found.
  std::string gguf_name(std::string_view tensor) const;
  /// The other way; "" when the model has no such tensor.
  std::string model_name(std::string_view gguf_tensor) const;

  /// "" or why llama.cpp cannot run the model as config.json describes it.
  std::string refuses() const;

 private:
  void add(const model::Module& module);
  /// Heads among which the rows of a module are reordered; 0 = none.
  std::int64_t rotary_heads(const model::Module& module) const noexcept;

  model::ModelGraph graph_;
  model::GgufTraits traits_;
  std::map<std::string, GgufModule, std::less<>> modules_;
  std::map<std::string, std::string, std::less<>> names_;  // the other way
};

/// The row of Hugging Face's order that lies at row `row` of a GGUF file with interleaved pairs:
/// row 2 r + t of a head of size d holds row t d / 2 + r of it.
constexpr std::int64_t rotary_source_row(std::int64_t row, std::int64_t head_size) noexcept {
  const std::int64_t in_head = row % head_size;
  return row - in_head + in_head % 2 * (head_size / 2) + in_head / 2;
}

/// The other way: the row of the file that holds a row of Hugging Face's order.
constexpr std::int64_t rotary_file_row(std::int64_t row, std::int64_t head_size) noexcept {
  const std::int64_t in_head = row % head_size;
  const std::int64_t half = head_size / 2;
  return row - in_head + in_head % half * 2 + in_head / half;
}

/// The tensor that scales rotary frequencies, which no checkpoint of Hugging Face holds.
inline constexpr std::string_view kRotaryFactors = "rope_freqs.weight";

}  // namespace pare::layout
