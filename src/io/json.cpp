#include "io/json.h"

#include "io/file.h"
#include "io/json_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace pare::io {
namespace {

enum class Numbers { as_values, as_spelled };

/// Builds the tree. Keys are appended without looking for an equal one, because the ordered map
/// searches linearly: a vocabulary of 150,000 keys would take minutes. Duplicates are found by
/// sorting when the object ends.
class TreeBuilder final : public JsonEvents {
 public:
  TreeBuilder(int max_depth, Numbers numbers) : max_depth_(max_depth), numbers_(numbers) {}

  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr) != nullptr; }
  bool boolean(bool value) override { return put(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return put(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return put(value) != nullptr; }
  bool number_float(number_float_t value, const string_t& text) override {
    if (numbers_ == Numbers::as_values) return put(value) != nullptr;
    return put(Json::binary({text.begin(), text.end()})) != nullptr;
  }
  bool string(string_t& value) override { return put(std::move(value)) != nullptr; }

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool key(string_t& name) override {
    auto& entries = *open_.back()->get_ptr<Json::object_t*>();
    entries.emplace_back(std::move(name), Json());
    target_ = &entries.back().second;
    return true;
  }
  bool end_object() override {
    refuse_duplicates(*open_.back()->get_ptr<Json::object_t*>());
    open_.pop_back();
    return true;
  }
  bool end_array() override {
    open_.pop_back();
    return true;
  }

 private:
  template <typename T>
  Json* put(T&& value) {
    if (open_.empty()) {
      root_ = std::forward<T>(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      auto& items = *open_.back()->get_ptr<Json::array_t*>();
      return &items.emplace_back(std::forward<T>(value));
    }
    *target_ = std::forward<T>(value);
    return target_;
  }

  bool open(Json container) {
    if (open_.size() >= static_cast<std::size_t>(max_depth_)) {
      fail(fmt::format("nested deeper than {} levels", max_depth_));
    }
    open_.push_back(put(std::move(container)));
    return true;
  }

  void refuse_duplicates(const Json::object_t& entries) const {
    std::vector<const std::string*> keys;
    keys.reserve(entries.size());
    for (const auto& entry : entries)
      keys.push_back(&entry.first);
    std::sort(keys.begin(), keys.end(), [](const auto* a, const auto* b) { return *a < *b; });
    const auto twin = std::adjacent_find(keys.begin(), keys.end(),
                                         [](const auto* a, const auto* b) { return *a == *b; });
    if (twin != keys.end()) fail(fmt::format("key \"{}\" twice in the object ending here", **twin));
  }

  int max_depth_;
  Numbers numbers_;
  Json root_;
  std::vector<Json*> open_;  // containers not yet ended, outermost first
  Json* target_ = nullptr;   // value of the key read last
};

Json parse(std::string_view text, const std::string& where, const JsonLimits& limits,
           Numbers numbers) {
  TreeBuilder builder(limits.max_depth, numbers);
  parse_json_events(text, where, limits.max_bytes, builder);
  return builder.take();
}

std::string scalar_text(const Json& value) {
  if (value.is_binary()) return {value.get_binary().begin(), value.get_binary().end()};
  if (!value.is_number_float() || std::isfinite(value.get<double>())) return value.dump();
  const double number = value.get<double>();
  if (std::isnan(number)) return "NaN";
  return number < 0 ? "-Infinity" : "Infinity";
}

void append_text(const Json& value, std::size_t indent, std::string& out) {
  if (!value.is_structured() || value.empty()) {
    out += scalar_text(value);
    return;
  }
  out += value.is_object() ? '{' : '[';
  const char* separator = "\n";
  for (const auto& [key, member] : value.items()) {
    out += separator;
    out.append(indent + 2, ' ');
    if (value.is_object()) out += Json(key).dump() + ": ";
    append_text(member, indent + 2, out);
    separator = ",\n";
  }
  out += '\n';
  out.append(indent, ' ');
  out += value.is_object() ? '}' : ']';
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where, const JsonLimits& limits) {
  return parse(text, where, limits, Numbers::as_values);
}

Json read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_text(path, limits.max_bytes), path.string(), limits);
}

Json read_json_as_spelled(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse(read_text(path, limits.max_bytes), path.string(), limits, Numbers::as_spelled);
}

std::string json_text(const Json& json) {
  std::string text;
  append_text(json, 0, text);
  return text;
}

}  // namespace pare::io
