// What config.json says about a decoder, in one form for every architecture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"
#include "pare/tensor.h"

namespace pare::model {

enum class RopeScaling { none, linear, dynamic, llama3 };

/// Rotary position embedding, half-rotate form.
/// Source: Su et al., arXiv:2104.09864; llama3 scaling: Llama 3.1 release; dynamic: NTK-aware.
struct RopeConfig {
  double theta = 10000;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_max_positions = 0;
};

struct AttentionConfig {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  bool qkv_bias = false;
  bool output_bias = false;
  bool qk_norm = false;  // RMSNorm of every query and key head before the rotation
};

struct ModelConfig {
  std::string architecture;  // id of the descriptor: "llama"
  std::string class_name;    // "LlamaForCausalLM"
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t layers = 0;
  std::int64_t max_positions = 0;
  float rms_norm_eps = 1e-6F;
  bool mlp_bias = false;
  bool tied_head = false;
  AttentionConfig attention;
  RopeConfig rope;
  std::vector<std::int64_t> windows;  // per layer; 0 = sees everything before it
  std::optional<DType> dtype;         // torch_dtype / dtype, when stated
};

/// Reads typed values out of config.json; every error names the key and what was found.
class ConfigReader {
 public:
  ConfigReader(const io::Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  bool has(const char* key) const;  // present and not null
  std::int64_t integer(const char* key, std::int64_t if_absent) const;  // must be > 0
  double number(const char* key, double if_absent) const;
  bool flag(const char* key, bool if_absent) const;
  std::string text(const char* key, const std::string& if_absent) const;
  std::vector<std::string> texts(const char* key) const;
  const io::Json* object(const char* key) const;  // nullptr when absent or null
  const io::Json& json() const noexcept { return json_; }
  const std::string& where() const noexcept { return where_; }

 private:
  [[noreturn]] void wrong_type(const char* key, const char* expected) const;

  const io::Json& json_;
  std::string where_;
};

/// `torch_dtype` or `dtype` of a config, when it names a weight float.
std::optional<DType> config_dtype(const ConfigReader& config);

}  // namespace pare::model
