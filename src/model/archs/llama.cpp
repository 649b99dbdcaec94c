// LLaMA 1, 2 and 3 (Touvron et al., arXiv:2302.13971; arXiv:2307.09288; arXiv:2407.21783).
#include <array>

#include "model/architecture.h"
#include "model/llama_shape.h"

namespace pare::model {
namespace {

constexpr std::array<std::string_view, 1> kClasses = {"LlamaForCausalLM"};

ModelGraph read(const ConfigReader& config) {
  LlamaTraits traits;
  traits.attention_bias_key = true;
  traits.mlp_bias_key = true;
  return llama_graph(read_llama_config(config, traits));
}

}  // namespace

extern const Architecture arch_llama;
const Architecture arch_llama = {
    .id = "llama",
    .summary = "LLaMA 1, 2 and 3, and everything published in its shape",
    .class_names = kClasses,
    .read = read,
    .gguf = {.architecture = "llama",
             .interleaved_rotary = true,
             .all_biases = true,
             .rotary_factors = true,
             .free_head_size = true},
};

}  // namespace pare::model
