// Qwen2 and Qwen2.5 (Yang et al., arXiv:2407.10671): biases on q, k and v.
#include <array>

#include "model/architecture.h"
#include "model/llama_shape.h"

namespace pare::model {
namespace {

constexpr std::array<std::string_view, 1> kClasses = {"Qwen2ForCausalLM"};

ModelGraph read(const ConfigReader& config) {
  LlamaTraits traits;
  traits.vocab_size = 151936;
  traits.intermediate_size = 22016;
  traits.kv_heads = 32;
  traits.max_positions = 32768;
  traits.always_qkv_bias = true;
  ModelConfig model = read_llama_config(config, traits);
  apply_qwen_windows(config, model);
  return llama_graph(std::move(model));
}

}  // namespace

extern const Architecture arch_qwen2;
const Architecture arch_qwen2 = {
    .id = "qwen2",
    .summary = "Qwen2 and Qwen2.5: biases on q, k and v",
    .class_names = kClasses,
    .read = read,
    .gguf = {.architecture = "qwen2"},
};

}  // namespace pare::model
