// Qwen3, dense (Yang et al., arXiv:2505.09388): RMSNorm on every query and key head.
#include <array>

#include "model/architecture.h"
#include "model/llama_shape.h"

namespace pare::model {
namespace {

constexpr std::array<std::string_view, 1> kClasses = {"Qwen3ForCausalLM"};

ModelGraph read(const ConfigReader& config) {
  LlamaTraits traits;
  traits.vocab_size = 151936;
  traits.intermediate_size = 22016;
  traits.kv_heads = 32;
  traits.head_dim = 128;
  traits.max_positions = 32768;
  traits.attention_bias_key = true;
  traits.qk_norm = true;
  ModelConfig model = read_llama_config(config, traits);
  apply_qwen_windows(config, model);
  return llama_graph(std::move(model));
}

}  // namespace

extern const Architecture arch_qwen3;
const Architecture arch_qwen3 = {
    .id = "qwen3",
    .summary = "Qwen3, dense: norms on query and key heads",
    .class_names = kClasses,
    .read = read,
    .gguf = {.architecture = "qwen3", .free_head_size = true},
};

}  // namespace pare::model
