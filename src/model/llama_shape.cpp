#include "model/llama_shape.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace pare::model {
namespace {

[[noreturn]] void unsupported(const ConfigReader& config, const std::string& what) {
  throw Error(ErrorCode::feature_not_supported, what).at(config.where());
}

RopeScaling rope_scaling_named(const ConfigReader& config, const std::string& type) {
  if (type == "default" || type.empty()) return RopeScaling::none;
  if (type == "linear") return RopeScaling::linear;
  if (type == "dynamic") return RopeScaling::dynamic;
  if (type == "llama3") return RopeScaling::llama3;
  unsupported(config, fmt::format("rotary scaling \"{}\" (known: linear, dynamic, llama3)", type));
}

/// Every key of the rotary parameters decides numbers, so none is passed over.
constexpr std::array<std::string_view, 9> kRopeKeys = {"type",
                                                       "rope_type",
                                                       "rope_theta",
                                                       "factor",
                                                       "low_freq_factor",
                                                       "high_freq_factor",
                                                       "finetuned",
                                                       "partial_rotary_factor",
                                                       "original_max_position_embeddings"};

void refuse_unknown_rope(const ConfigReader& config, const ConfigReader& rope) {
  for (const auto& [key, value] : rope.json().items()) {
    if (value.is_null()) continue;
    if (value.is_object()) {
      unsupported(config, fmt::format("rotary parameters by layer type (\"{}\")", key));
    }
    if (std::find(kRopeKeys.begin(), kRopeKeys.end(), key) == kRopeKeys.end()) {
      unsupported(config, fmt::format("\"{}\" among the rotary parameters", key));
    }
  }
}

void refuse_partial_rotary(const ConfigReader& config, const ConfigReader& rope) {
  const double part = rope.number("partial_rotary_factor", 1);
  if (part != 1)
    unsupported(config, fmt::format("rotary embedding of a part ({}) of a head", part));
}

/// Old configs say rope_theta and rope_scaling {type}, new ones rope_parameters {rope_type}, which
/// may say it by layer type; nullptr when there is nothing but a rope_theta.
const io::Json* rope_parameters(const ConfigReader& config) {
  const io::Json* rope = config.object("rope_parameters");
  if (rope == nullptr) rope = config.object("rope_scaling");
  if (rope == nullptr || rope->empty()) return nullptr;
  const io::Json& first = rope->front();
  const bool alike =
      first.is_object() && std::all_of(rope->begin(), rope->end(),
                                       [&](const auto& of_type) { return of_type == first; });
  return alike ? &first : rope;
}

RopeConfig read_rope(const ConfigReader& config, const LlamaTraits& traits,
                     std::int64_t max_positions) {
  RopeConfig rope;
  rope.theta = config.number("rope_theta", traits.rope_theta);
  refuse_partial_rotary(config, config);
  const io::Json* json = rope_parameters(config);
  if (json == nullptr) return rope;
  const ConfigReader scaling(*json, config.where() + ", rope parameters");
  const std::string type = scaling.text("rope_type", scaling.text("type", ""));
  rope.scaling = rope_scaling_named(config, type);
  refuse_unknown_rope(config, scaling);
  refuse_partial_rotary(config, scaling);
  rope.theta = scaling.number("rope_theta", rope.theta);
  rope.factor = scaling.number("factor", 1);
  rope.low_freq_factor = scaling.number("low_freq_factor", 1);
  rope.high_freq_factor = scaling.number("high_freq_factor", 4);
  rope.original_max_positions =
      scaling.number("original_max_position_embeddings", static_cast<double>(max_positions));
  const bool sane = rope.theta > 0 && rope.factor > 0 && rope.original_max_positions > 0 &&
                    rope.low_freq_factor > 0 && rope.high_freq_factor > rope.low_freq_factor;
  if (!sane) {
    throw Error(ErrorCode::bad_config, "rotary parameters must be positive").at(config.where());
  }
  return rope;
}

AttentionConfig read_attention(const ConfigReader& config, const LlamaTraits& traits,
                               std::int64_t hidden_size) {
  AttentionConfig a;
  a.heads = config.integer("num_attention_heads", traits.heads);
  const bool stated = config.json().contains("num_key_value_heads");
  a.kv_heads = config.integer("num_key_value_heads", stated ? 0 : traits.kv_heads);
  if (a.kv_heads == 0) a.kv_heads = a.heads;
  a.head_dim = config.integer("head_dim", traits.head_dim);
  if (a.head_dim == 0 && hidden_size % a.heads == 0) a.head_dim = hidden_size / a.heads;
  if (a.head_dim == 0 || a.head_dim % 2 != 0 || a.heads % a.kv_heads != 0) {
    throw Error(ErrorCode::bad_config,
                fmt::format("hidden_size {}, num_attention_heads {}, num_key_value_heads {} and "
                            "head_dim {} do not fit together",
                            hidden_size, a.heads, a.kv_heads, a.head_dim))
        .at(config.where());
  }
  const bool switched_on = traits.attention_bias_key && config.flag("attention_bias", false);
  a.qkv_bias = traits.always_qkv_bias || switched_on;
  a.output_bias = switched_on;
  a.qk_norm = traits.qk_norm;
  return a;
}

}  // namespace

ModelConfig read_llama_config(const ConfigReader& config, const LlamaTraits& traits) {
  const std::string activation = config.text("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {
    unsupported(config, fmt::format("activation \"{}\" (known: silu)", activation));
  }
  ModelConfig model;
  model.vocab_size = config.integer("vocab_size", traits.vocab_size);
  model.hidden_size = config.integer("hidden_size", traits.hidden_size);
  model.intermediate_size = config.integer("intermediate_size", traits.intermediate_size);
  model.layers = config.integer("num_hidden_layers", traits.layers);
  model.max_positions = config.integer("max_position_embeddings", traits.max_positions);
  model.rms_norm_eps = static_cast<float>(config.number("rms_norm_eps", traits.rms_norm_eps));
  model.mlp_bias = traits.mlp_bias_key && config.flag("mlp_bias", false);
  model.tied_head = config.flag("tie_word_embeddings", traits.tied_head);
  model.attention = read_attention(config, traits, model.hidden_size);
  model.rope = read_rope(config, traits, model.max_positions);
  model.dtype = config_dtype(config);
  constexpr std::int64_t kMostLayers = 10000;
  if (model.layers > kMostLayers) {
    throw Error(ErrorCode::bad_config, fmt::format("num_hidden_layers is {}", model.layers))
        .at(config.where());
  }
  model.windows.assign(static_cast<std::size_t>(model.layers), 0);
  return model;
}

namespace {

/// Puts the modules of a LLaMA-shaped model on the list.
class ModuleList {
 public:
  explicit ModuleList(ModelGraph& graph) : graph_(graph), config_(graph.config) {}

  void add_block(std::int64_t block) {
    const AttentionConfig& a = config_.attention;
    const std::int64_t d = config_.hidden_size;
    const std::int64_t f = config_.intermediate_size;
    const std::int64_t q = a.heads * a.head_dim;
    const std::int64_t kv = a.kv_heads * a.head_dim;
    prefix_ = fmt::format("model.layers.{}.", block);
    block_ = block;
    linear(Role::q, "self_attn.q_proj", {q, d}, a.qkv_bias, Site::attention_input);
    linear(Role::k, "self_attn.k_proj", {kv, d}, a.qkv_bias, Site::attention_input);
    linear(Role::v, "self_attn.v_proj", {kv, d}, a.qkv_bias, Site::attention_input);
    linear(Role::o, "self_attn.o_proj", {d, q}, a.output_bias, Site::attention_output);
    if (a.qk_norm) {
      add(Role::q_norm, ModuleKind::head_norm, "self_attn.q_norm", {a.head_dim});
      add(Role::k_norm, ModuleKind::head_norm, "self_attn.k_norm", {a.head_dim});
    }
    linear(Role::gate, "mlp.gate_proj", {f, d}, config_.mlp_bias, Site::mlp_input);
    linear(Role::up, "mlp.up_proj", {f, d}, config_.mlp_bias, Site::mlp_input);
    linear(Role::down, "mlp.down_proj", {d, f}, config_.mlp_bias, Site::mlp_hidden);
    add(Role::input_norm, ModuleKind::norm, "input_layernorm", {d}).site = Site::attention_input;
    add(Role::mlp_norm, ModuleKind::norm, "post_attention_layernorm", {d}).site = Site::mlp_input;
    prefix_.clear();
    block_ = kNoBlock;
  }

  Module& add(Role role, ModuleKind kind, const std::string& name, const Shape& shape) {
    Module module;
    module.name = prefix_ + name;
    module.kind = kind;
    module.role = role;
    module.block = block_;
    module.shape = shape;
    module.source = module.weight_name();
    return graph_.modules.emplace_back(std::move(module));
  }

 private:
  void linear(Role role, const std::string& name, const Shape& shape, bool bias, Site site) {
    Module& module = add(role, ModuleKind::linear, name, shape);
    module.bias = bias;
    module.site = site;
    module.row_parallel = role == Role::o || role == Role::down;
  }

  ModelGraph& graph_;
  const ModelConfig& config_;
  std::string prefix_;
  std::int64_t block_ = kNoBlock;
};

}  // namespace

ModelGraph llama_graph(ModelConfig config) {
  ModelGraph graph;
  graph.config = std::move(config);
  const Shape vocabulary{graph.config.vocab_size, graph.config.hidden_size};
  ModuleList list(graph);
  list.add(Role::embedding, ModuleKind::embedding, "model.embed_tokens", vocabulary);
  for (std::int64_t i = 0; i < graph.config.layers; ++i)
    list.add_block(i);
  list.add(Role::final_norm, ModuleKind::norm, "model.norm", {graph.config.hidden_size});
  Module& head = list.add(Role::head, ModuleKind::head, "lm_head", vocabulary);
  if (graph.config.tied_head) head.source = graph.module(Role::embedding).source;
  return graph;
}

namespace {

void refuse_unknown_layer_types(const ConfigReader& config) {
  for (const std::string& type : config.texts("layer_types")) {
    if (type == "full_attention" || type == "sliding_attention") continue;
    unsupported(config, fmt::format("layer type \"{}\"", type));
  }
}

}  // namespace

void apply_qwen_windows(const ConfigReader& config, ModelConfig& model) {
  refuse_unknown_layer_types(config);
  if (!config.flag("use_sliding_window", false)) return;
  const std::int64_t window = config.integer("sliding_window", 4096);
  const std::vector<std::string> types = config.texts("layer_types");
  const double first = config.number("max_window_layers", 28);
  for (std::size_t i = 0; i < model.windows.size(); ++i) {
    const bool slides =
        i < types.size() ? types[i] == "sliding_attention" : static_cast<double>(i) >= first;
    if (slides) model.windows[i] = window;
  }
}

}  // namespace pare::model
