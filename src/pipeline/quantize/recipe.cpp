#include "pipeline/quantize/recipe.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "io/file.h"
#include "pare/error.h"
#include "pipeline/quantize/job.h"

namespace pare::pipeline {
namespace {

std::string place(const std::filesystem::path& file, const YAML::Mark& mark) {
  return fmt::format("{}:{}", file.string(), mark.line + 1);
}

const ParamSpec& spec_of(const std::string& key, const std::string& where) {
  const std::string name = canonical_param_name(key);
  std::vector<std::string> known;
  for (const ParamSpec& spec : recipe_params()) {
    if (spec.name == name) return spec;
    known.emplace_back(spec.name);
  }
  const std::string near = closest_match(name, known);
  throw Error(ErrorCode::bad_recipe, fmt::format("unknown key \"{}\"", key))
      .at(where)
      .hint(near.empty() ? "see `pare quantize --help` for the keys (options without dashes)"
                         : fmt::format("did you mean \"{}\"?", near));
}

std::vector<std::string> list_of(const YAML::Node& value, const std::string& where) {
  if (value.IsScalar()) return {value.Scalar()};
  std::vector<std::string> out;
  for (const YAML::Node& entry : value) {
    if (!entry.IsScalar()) {
      throw Error(ErrorCode::bad_recipe, "a list of plain texts is expected").at(where);
    }
    out.push_back(entry.Scalar());
  }
  return out;
}

void take(const std::filesystem::path& file, const YAML::Node& key, const YAML::Node& value,
          ParamMap& params) {
  const std::string where = place(file, key.Mark());
  if (!key.IsScalar()) throw Error(ErrorCode::bad_recipe, "a key must be plain text").at(where);
  const ParamSpec& spec = spec_of(key.Scalar(), where);
  if (params.given(spec.name) || value.IsNull()) return;
  if (spec.type == ParamType::list) return params.set_list(spec, list_of(value, where));
  if (!value.IsScalar()) {
    throw Error(ErrorCode::bad_recipe, fmt::format("\"{}\" takes one value", spec.name)).at(where);
  }
  params.set(spec, value.Scalar(), where);
}

std::string quoted(const std::string& value) {
  YAML::Emitter emitter;
  emitter << YAML::DoubleQuoted << value;
  return emitter.c_str();
}

}  // namespace

void read_recipe(const std::filesystem::path& file, ParamMap& params) {
  constexpr std::size_t kLargestRecipe = std::size_t{1} << 20;
  const std::string text = io::read_text(file, kLargestRecipe);
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& problem) {
    throw Error(ErrorCode::bad_recipe, problem.msg).at(place(file, problem.mark));
  }
  if (!root.IsMap()) {
    throw Error(ErrorCode::bad_recipe, "a recipe is a list of `key: value` lines")
        .at(file.string());
  }
  std::vector<std::string> seen;
  for (const auto& entry : root) {
    const std::string name =
        entry.first.IsScalar() ? canonical_param_name(entry.first.Scalar()) : "";
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      throw Error(ErrorCode::bad_recipe, fmt::format("\"{}\" is given twice", name))
          .at(place(file, entry.first.Mark()));
    }
    seen.push_back(name);
    take(file, entry.first, entry.second, params);
  }
}

std::string recipe_text(const ParamMap& params, std::span<const ParamSpec> specs) {
  std::string text;
  for (const ParamSpec& spec : specs) {
    const auto found = params.values().find(spec.name);
    if (found == params.values().end() || found->second.empty()) continue;
    if (spec.type != ParamType::list) {
      text += fmt::format("{}: {}\n", spec.name,
                          spec.type == ParamType::text ? quoted(found->second.front())
                                                       : found->second.front());
      continue;
    }
    text += fmt::format("{}:\n", spec.name);
    for (const std::string& value : found->second) text += fmt::format("  - {}\n", quoted(value));
  }
  return text;
}

}  // namespace pare::pipeline
