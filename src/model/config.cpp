#include "model/config.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <cmath>

namespace pare::model {

bool ConfigReader::has(const char* key) const {
  const auto found = json_.find(key);
  return found != json_.end() && !found->is_null();
}

void ConfigReader::wrong_type(const char* key, const char* expected) const {
  const io::Json& found = json_.at(key);
  throw Error(ErrorCode::bad_config,
              fmt::format("\"{}\" should be {}, found {}", key, expected,
                          found.is_number() ? io::json_text(found) : found.dump()))
      .at(where_);
}

std::int64_t ConfigReader::integer(const char* key, std::int64_t if_absent) const {
  if (!has(key)) return if_absent;
  const io::Json& value = json_.at(key);
  // Products of two of these, such as heads and head size, still fit 64 bits.
  constexpr std::int64_t kLargest = (std::int64_t{1} << 31) - 1;
  if (!value.is_number_integer() || value < 1 || value > kLargest) {
    wrong_type(key, "a positive whole number");
  }
  return value.get<std::int64_t>();
}

double ConfigReader::number(const char* key, double if_absent) const {
  if (!has(key)) return if_absent;
  if (!json_.at(key).is_number()) wrong_type(key, "a number");
  const double value = json_.at(key).get<double>();
  if (!std::isfinite(value)) wrong_type(key, "a finite number");
  return value;
}

bool ConfigReader::flag(const char* key, bool if_absent) const {
  if (!has(key)) return if_absent;
  if (!json_.at(key).is_boolean()) wrong_type(key, "true or false");
  return json_.at(key).get<bool>();
}

std::string ConfigReader::text(const char* key, const std::string& if_absent) const {
  if (!has(key)) return if_absent;
  if (!json_.at(key).is_string()) wrong_type(key, "text");
  return json_.at(key).get<std::string>();
}

std::vector<std::string> ConfigReader::texts(const char* key) const {
  std::vector<std::string> out;
  if (!has(key)) return out;
  if (!json_.at(key).is_array()) wrong_type(key, "a list of texts");
  for (const io::Json& entry : json_.at(key)) {
    if (!entry.is_string()) wrong_type(key, "a list of texts");
    out.push_back(entry.get<std::string>());
  }
  return out;
}

const io::Json* ConfigReader::object(const char* key) const {
  if (!has(key)) return nullptr;
  if (!json_.at(key).is_object()) wrong_type(key, "an object");
  return &json_.at(key);
}

std::optional<DType> config_dtype(const ConfigReader& config) {
  std::string name = config.text("torch_dtype", config.text("dtype", ""));
  if (name.starts_with("torch.")) name.erase(0, 6);
  if (name == "float32") return DType::f32;
  if (name == "float16") return DType::f16;
  if (name == "bfloat16") return DType::bf16;
  return std::nullopt;
}

}  // namespace pare::model
