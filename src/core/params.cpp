// Checked values of parameters.
#include "pare/job.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "pare/error.h"

namespace pare {
namespace {

std::vector<std::string> split_choices(std::string_view choices) {
  std::vector<std::string> out;
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    out.emplace_back(choices.substr(0, bar));
    choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
  }
  return out;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_flag_word(std::string_view text) { return text == "true" || text == "false"; }

std::string allowed_values(const ParamSpec& spec) {
  if (!spec.choices.empty()) return fmt::format("one of {}", spec.choices);
  switch (spec.type) {
    case ParamType::flag: return "true or false";
    case ParamType::integer:
      if (spec.min < spec.max) return fmt::format("a whole number in {}..{}", spec.min, spec.max);
      return "a whole number";
    case ParamType::number:
      if (spec.min < spec.max) return fmt::format("a number in {}..{}", spec.min, spec.max);
      return "a number";
    default: return "text";
  }
}

bool in_range(const ParamSpec& spec, double value) {
  return !(spec.min < spec.max) || (value >= spec.min && value <= spec.max);
}

bool is_allowed(const ParamSpec& spec, const std::string& value) {
  if (!spec.choices.empty()) {
    const std::vector<std::string> choices = split_choices(spec.choices);
    return std::find(choices.begin(), choices.end(), value) != choices.end();
  }
  if (spec.type == ParamType::flag) return is_flag_word(value);
  if (spec.type == ParamType::integer) {
    const auto n = parse_integer(value);
    return n && in_range(spec, static_cast<double>(*n));
  }
  if (spec.type == ParamType::number) {
    const auto n = parse_number(value);
    return n && in_range(spec, *n);
  }
  return true;
}

}  // namespace

void ParamMap::set(const ParamSpec& spec, std::string_view value, const std::string& where) {
  const std::string text(value);
  if (!is_allowed(spec, text)) {
    Error error(ErrorCode::bad_option_value, fmt::format("{} = \"{}\"", spec.name, value));
    const std::string near = closest_match(value, split_choices(spec.choices));
    std::string hint = fmt::format("allowed: {}", allowed_values(spec));
    if (!near.empty()) hint += fmt::format("; did you mean \"{}\"?", near);
    throw std::move(error).at(where).hint(hint);
  }
  values_[std::string(spec.name)] = {text};
  given_[std::string(spec.name)] = true;
}

void ParamMap::set_list(const ParamSpec& spec, std::vector<std::string> values) {
  values_[std::string(spec.name)] = std::move(values);
  given_[std::string(spec.name)] = true;
}

bool ParamMap::given(std::string_view name) const { return given_.contains(name); }

void ParamMap::fill_defaults(std::span<const ParamSpec> specs) {
  for (const ParamSpec& spec : specs) {
    if (spec.default_value.empty() || values_.contains(spec.name)) continue;
    values_[std::string(spec.name)] = {std::string(spec.default_value)};
  }
}

const std::string* ParamMap::single(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() || found->second.empty() ? nullptr : &found->second.front();
}

bool ParamMap::flag(std::string_view name) const {
  const std::string* value = single(name);
  return value != nullptr && *value == "true";
}

std::int64_t ParamMap::integer(std::string_view name, std::int64_t if_unset) const {
  const std::string* value = single(name);
  return value == nullptr ? if_unset : parse_integer(*value).value_or(if_unset);
}

double ParamMap::number(std::string_view name, double if_unset) const {
  const std::string* value = single(name);
  return value == nullptr ? if_unset : parse_number(*value).value_or(if_unset);
}

std::string ParamMap::text(std::string_view name, std::string_view if_unset) const {
  const std::string* value = single(name);
  return value == nullptr ? std::string(if_unset) : *value;
}

const std::vector<std::string>& ParamMap::list(std::string_view name) const {
  static const std::vector<std::string> kNone;
  const auto found = values_.find(name);
  return found == values_.end() ? kNone : found->second;
}

std::string canonical_param_name(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

std::string option_name(std::string_view param_name) {
  std::string out = "--" + std::string(param_name);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

}  // namespace pare
