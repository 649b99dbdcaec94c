#include "layouts/ascend/description.h"

#include "io/json.h"
#include "layouts/folder_files.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace pare::layout {
namespace {

constexpr std::string_view kNameBegin = "quant_model_description_";
constexpr std::string_view kNameEnd = ".json";

constexpr std::array<std::string_view, 9> kHeaderKeys = {
    "version",       "model_quant_type",  "group_size", "kv_cache_type", "kv_quant_type",
    "fa_quant_type", "reduce_quant_type", "metadata",   "optional"};

/// Header keys whose presence means tensors that Pare cannot compute with.
constexpr std::array<std::string_view, 4> kForeignKeys = {"kv_cache_type", "kv_quant_type",
                                                          "fa_quant_type", "reduce_quant_type"};

std::string known_types() {
  std::string types;
  for (const quant::NamedScheme& scheme : quant::named_schemes()) {
    types += fmt::format("{}{}", types.empty() ? "" : ", ", scheme.scheme_tag);
  }
  return types;
}

[[noreturn]] void refuse_type(std::string_view what, std::string_view type) {
  throw Error(ErrorCode::scheme_not_supported, fmt::format("{} has type \"{}\"", what, type))
      .hint(fmt::format("Pare reads {} and {}", known_types(), kFloatTag));
}

std::string string_of(const std::string& key, const io::Json& value) {
  if (value.is_string()) return value.get<std::string>();
  throw Error(ErrorCode::bad_description,
              fmt::format("\"{}\" must be a text, found {}", key, value.type_name()))
      .hint("a description holds one type per tensor, as in \"lm_head.weight\": \"FLOAT\"");
}

std::int64_t group_size_of(const io::Json& value) {
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 32;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= kLargest) {
    return static_cast<std::int64_t>(value.get<std::uint64_t>());
  }
  const bool negative = value.is_number_integer() && !value.is_number_unsigned();
  if (negative && value == -1) return 0;  // some writers say so when there are no groups
  throw Error(ErrorCode::bad_description,
              fmt::format("\"group_size\" must be a whole number, found {}", value.dump()));
}

void read_header_entry(Description& description, const std::string& key, const io::Json& value) {
  if (key == "version") description.version = string_of(key, value);
  if (key == "model_quant_type") description.scheme_tag = string_of(key, value);
  if (key == "group_size") description.group_size = group_size_of(value);
  const bool foreign =
      std::find(kForeignKeys.begin(), kForeignKeys.end(), key) != kForeignKeys.end();
  if (foreign && !value.is_null())
    refuse_type(key, value.is_string() ? string_of(key, value) : "?");
}

void read_tensor_entry(Description& description, const std::string& key, const io::Json& value) {
  std::string type = string_of(key, value);
  if (type == kPackedTag) return;  // index or info of a packed tensor: no tensor of the model
  if (type.ends_with(kPackedSuffix)) type.resize(type.size() - kPackedSuffix.size());
  if (type != kFloatTag && scheme_of_type(type) == nullptr) refuse_type(key, type);
  description.tags.emplace_back(key, std::move(type));
}

Description parse_description(const io::Json& json) {
  Description description;
  if (!json.is_object()) {
    throw Error(ErrorCode::bad_description,
                fmt::format("expected an object, found {}", json.type_name()));
  }
  for (const auto& [key, value] : json.items()) {
    if (is_header_key(key)) {
      read_header_entry(description, key, value);
    } else {
      read_tensor_entry(description, key, value);
    }
  }
  if (description.scheme_tag.empty()) {
    throw Error(ErrorCode::bad_description, "\"model_quant_type\" is missing")
        .hint("this is no description of a quantized model, or it was damaged: quantize again");
  }
  if (scheme_of_type(description.scheme_tag) == nullptr) {
    refuse_type("the model", description.scheme_tag);
  }
  return description;
}

std::string json_text(std::string_view text) { return io::Json(std::string(text)).dump(); }

/// "\"a\", \"b\" and 5 more"
std::string sample_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i) {
    text += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", names[i]);
  }
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

}  // namespace

bool is_header_key(std::string_view name) noexcept {
  return std::find(kHeaderKeys.begin(), kHeaderKeys.end(), name) != kHeaderKeys.end();
}

std::string typed_description_name(std::string_view scheme_tag) {
  return fmt::format("{}{}{}", kNameBegin, lower_case(scheme_tag), kNameEnd);
}

std::vector<std::string> typed_descriptions(const std::filesystem::path& folder) {
  return files_named(folder, kNameBegin, kNameEnd);
}

Description describe(const OutputPlan& plan, const std::vector<DeclaredTensor>& tensors) {
  Description description;
  description.scheme_tag = plan.scheme_tag;
  for (const DeclaredTensor& tensor : tensors) {
    description.tags.emplace_back(tensor.info.name, tensor.tag);
  }
  return description;
}

std::string description_text(const Description& description) {
  std::string text = "{\n";
  if (!description.version.empty()) {
    text += fmt::format("  \"version\": {},\n", json_text(description.version));
  }
  text += fmt::format("  \"model_quant_type\": {}", json_text(description.scheme_tag));
  if (description.group_size > 0) {
    text += fmt::format(",\n  \"group_size\": {}", description.group_size);
  }
  for (const auto& [name, tag] : description.tags) {
    text += fmt::format(",\n  {}: {}", json_text(name), json_text(tag));
  }
  return text + "\n}\n";
}

Description read_description(const std::filesystem::path& path) {
  const io::Json json = io::read_json(path);
  try {
    return parse_description(json);
  } catch (Error& error) {
    error.at(path.string());
    throw;
  }
}

std::int64_t group_size_beside(const std::filesystem::path& folder) {
  std::error_code unreadable;
  const std::filesystem::path file = folder / "config.json";
  if (!std::filesystem::exists(file, unreadable)) return 0;
  const io::Json config = io::read_json(file);
  const auto details = config.is_object() ? config.find("quantization_config") : config.end();
  if (details == config.end() || !details->is_object()) return 0;
  const auto size = details->find("group_size");
  if (size == details->end() || size->is_null()) return 0;
  try {
    return group_size_of(*size);
  } catch (Error& error) {
    error.at(file.string());
    throw;
  }
}

void check_same_names(const Description& description, const containers::TensorSource& source,
                      const std::filesystem::path& path) {
  std::set<std::string, std::less<>> described;
  for (const auto& [name, tag] : description.tags)
    described.insert(name);
  std::vector<std::string> only_described;
  std::vector<std::string> only_stored;
  for (const std::string& name : described) {
    if (source.find(name) == nullptr) only_described.push_back(name);
  }
  for (const containers::TensorInfo& info : source.tensors()) {
    if (!described.contains(info.name)) only_stored.push_back(info.name);
  }
  if (only_described.empty() && only_stored.empty()) return;
  std::string detail;
  if (!only_described.empty()) {
    detail = fmt::format("described but not in the weight files: {}", sample_of(only_described));
  }
  if (!only_stored.empty()) {
    detail += fmt::format("{}in the weight files but not described: {}", detail.empty() ? "" : "; ",
                          sample_of(only_stored));
  }
  throw Error(ErrorCode::bad_description, detail)
      .at(path.string())
      .hint(
          "the files come from different runs, or some are missing: copy the folder again whole, "
          "or quantize again");
}

const quant::NamedScheme* scheme_of_type(std::string_view type) noexcept {
  for (const quant::NamedScheme& scheme : quant::named_schemes()) {
    if (scheme.scheme_tag == type) return &scheme;
  }
  return nullptr;
}

std::string lower_case(std::string_view type) {
  std::string lower(type);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace pare::layout
