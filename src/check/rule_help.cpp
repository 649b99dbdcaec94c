#include "check/rule_help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

namespace pare::check {
namespace {

template <typename T>
std::vector<float> integers_as_floats(const TensorView& view) {
  std::vector<T> values(view.data.size() / sizeof(T));
  std::memcpy(values.data(), view.data.data(), values.size() * sizeof(T));
  std::vector<float> floats(values.size());
  std::transform(values.begin(), values.end(), floats.begin(),
                 [](T value) { return static_cast<float>(value); });
  return floats;
}

std::vector<float> as_floats(const TensorView& view) {
  if (is_weight_float(view.dtype)) return read_floats(view);
  if (view.dtype == DType::i8) return integers_as_floats<std::int8_t>(view);
  if (view.dtype == DType::i32) return integers_as_floats<std::int32_t>(view);
  if (view.dtype == DType::i64) return integers_as_floats<std::int64_t>(view);
  return {};
}

}  // namespace

std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kShown));
  std::string text = fmt::format("{}", fmt::join(names.begin(), end, ", "));
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

std::string config_place(const Folder& folder) {
  if (folder.quantization_file().empty()) return "config.json";
  if (folder.quantization_file() != "config.json") return folder.quantization_file();
  return "config.json, quantization_config";
}

std::optional<std::int64_t> config_integer(const Folder& folder, std::string_view key) {
  return integer_of(member(folder.quantization(), key));
}

std::optional<bool> config_flag(const Folder& folder, std::string_view key) {
  return flag_of(member(folder.quantization(), key));
}

std::string config_dtype(const Folder& folder) {
  return text_of(member(folder.config(), "torch_dtype", "dtype")).value_or("");
}

std::vector<std::uint32_t> words_of(const Folder& folder, const std::string& tensor) {
  const StoredTensor* found = folder.weights().find(tensor);
  if (found == nullptr || found->info.dtype != DType::i32) return {};
  const TensorView view = folder.view(*found);
  std::vector<std::uint32_t> words(view.data.size() / sizeof(std::uint32_t));
  std::memcpy(words.data(), view.data.data(), words.size() * sizeof(std::uint32_t));
  folder.release(*found);
  return words;
}

std::vector<float> values_of(const Folder& folder, const std::string& tensor) {
  const StoredTensor* found = folder.weights().find(tensor);
  if (found == nullptr) return {};
  std::vector<float> values = as_floats(folder.view(*found));
  folder.release(*found);
  return values;
}

std::vector<std::string> float_linears_in_blocks(const Folder& folder) {
  std::vector<std::string> names;
  for (const std::string& name : folder.float_linears()) {
    if (!is_head(name) && in_block(name).has_value()) names.push_back(name);
  }
  return names;
}

bool has_tied_head(const Folder& folder) {
  const bool tied = flag_of(member(folder.config(), "tie_word_embeddings")).value_or(false);
  return tied && folder.weights().find("lm_head.weight") == nullptr;
}

}  // namespace pare::check
