// The table of known architectures, and how a model folder becomes a graph.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "containers/tensor_source.h"
#include "model/graph.h"

namespace pare::model {

/// How llama.cpp runs an architecture, for GGUF files. Source: docs/formats/gguf.md
struct GgufTraits {
  std::string_view architecture = {};  // "general.architecture"; "" = it does not
  bool interleaved_rotary = false;     // the rows of q and k lie as rotary pairs
  bool all_biases = false;             // loads those of o, gate, up and down too
  bool rotary_factors = false;         // loads a tensor that scales rotary frequencies
  bool free_head_size = false;         // heads need not divide the hidden size among them
};

/// One architecture: which config.json it answers to, and the graph it describes.
/// One file in archs/ and one line in archs.def.
struct Architecture {
  std::string_view id;  // config.json's model_type
  std::string_view summary;
  std::span<const std::string_view> class_names;  // entries of config.json's `architectures`
  /// Errors: bad_config, feature_not_supported.
  ModelGraph (*read)(const ConfigReader& config);
  GgufTraits gguf = {};
};

std::span<const Architecture* const> architectures() noexcept;

/// The architecture of a config: its model_type must be known and, where class names are given, one
/// of its classes among them (a LlamaForSequenceClassification is built otherwise); without a
/// model_type the class names alone count. nullptr when none is known.
const Architecture* find_architecture(const ConfigReader& config);

/// By id; nullptr when none is known.
const Architecture* find_architecture(std::string_view id) noexcept;

/// "GemmaForCausalLM (model_type gemma)": what a config calls itself.
std::string architecture_label(const ConfigReader& config);

/// config.json of a folder. Errors: file_not_found, bad_json; bad_config when it is no object.
io::Json read_config(const std::filesystem::path& folder);

/// Reads config.json of a folder into a graph.
/// Errors: file_not_found, bad_json, bad_config, unknown_architecture (listing the known ones).
ModelGraph read_graph(const std::filesystem::path& folder);

/// Checks every tensor that the graph needs against the source: presence, shape, float type; and
/// that nothing is left over except buffers that are recomputed.
/// Errors: tensor_missing, tensor_mismatch (with both shapes), bad_config (tensors left over).
void check_tensors(const ModelGraph& graph, const containers::TensorSource& source);

/// Buffers of checkpoints that carry no information (inverse rotary frequencies and masks).
bool is_recomputed_buffer(std::string_view tensor_name) noexcept;

}  // namespace pare::model
