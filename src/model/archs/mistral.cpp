// Mistral (Jiang et al., arXiv:2310.06825): grouped-query attention with a sliding window.
#include <array>

#include "model/architecture.h"
#include "model/llama_shape.h"

namespace pare::model {
namespace {

constexpr std::array<std::string_view, 1> kClasses = {"MistralForCausalLM"};

ModelGraph read(const ConfigReader& config) {
  LlamaTraits traits;
  traits.intermediate_size = 14336;
  traits.kv_heads = 8;
  traits.max_positions = 131072;
  ModelConfig model = read_llama_config(config, traits);
  // An absent key means the class default, an explicit null means full attention.
  const bool stated = config.json().contains("sliding_window");
  const std::int64_t window = config.integer("sliding_window", stated ? 0 : 4096);
  model.windows.assign(model.windows.size(), window);
  return llama_graph(std::move(model));
}

}  // namespace

extern const Architecture arch_mistral;
const Architecture arch_mistral = {
    .id = "mistral",
    .summary = "Mistral: grouped-query attention, sliding window",
    .class_names = kClasses,
    .read = read,
    .gguf = {.architecture = "llama",
             .interleaved_rotary = true,
             .all_biases = true,
             .rotary_factors = true,
             .free_head_size = true},
};

}  // namespace pare::model
