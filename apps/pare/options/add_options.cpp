#include "options/add_options.h"

#include <CLI/CLI.hpp>

#include <vector>

namespace pare::app {
namespace {

void apply(const OptionStyle& style, CLI::Option& option) {
  option.required(style.required);
  if (!style.group.empty()) option.group(style.group);
  if (!style.value_name.empty()) option.type_name(style.value_name);
}

/// What stands for the value in the help: the choices, or a letter for the type.
std::string value_name(const ParamSpec& spec) {
  if (!spec.choices.empty()) return std::string(spec.choices);
  switch (spec.type) {
    case ParamType::integer:
      return "N";
    case ParamType::number:
      return "X";
    default:
      return "TEXT";
  }
}

CLI::Option* add_param(CLI::App& app, const ParamSpec& spec, ParamMap& values) {
  const std::string option = option_name(spec.name);
  const std::string help(spec.help);
  if (spec.type == ParamType::flag) {
    return app.add_flag_function(
        option,
        [&spec, &values, option](std::int64_t count) {
          values.set(spec, count > 0 ? "true" : "false", option);
        },
        help);
  }
  if (spec.type == ParamType::list) {
    const auto take = [&spec, &values](const std::vector<std::string>& given) {
      values.set_list(spec, given);
    };
    return app.add_option_function<std::vector<std::string>>(option, take, help)->delimiter(',');
  }
  const auto take = [&spec, &values, option](const std::string& given) {
    values.set(spec, given, option);
  };
  return app.add_option_function<std::string>(option, take, help);
}

}  // namespace

void add_option(CLI::App& app, const std::string& names, std::string& value,
                const std::string& help, const OptionStyle& style) {
  apply(style, *app.add_option(names, value, help));
}

void add_option(CLI::App& app, const std::string& names, std::filesystem::path& value,
                const std::string& help, const OptionStyle& style) {
  apply(style, *app.add_option(names, value, help));
}

void add_count(CLI::App& app, const std::string& names, std::int64_t& value, std::int64_t most,
               const std::string& help) {
  app.add_option(names, value, help)->type_name("N")->check(CLI::Range(std::int64_t{1}, most));
}

void add_flag(CLI::App& app, const std::string& names, bool& value, const std::string& help,
              const OptionStyle& style) {
  apply(style, *app.add_flag(names, value, help));
}

void add_params(CLI::App& app, std::span<const ParamSpec> specs, ParamMap& values,
                const std::string& group) {
  values.fill_defaults(specs);
  for (const ParamSpec& spec : specs) {
    if (app.get_option_no_throw(option_name(spec.name)) != nullptr) continue;
    CLI::Option* option = add_param(app, spec, values);
    option->group(group);
    if (spec.type == ParamType::flag) continue;
    option->type_name(value_name(spec));
    if (!spec.default_value.empty()) option->default_str(std::string(spec.default_value));
  }
}

void add_params_as_spelled(CLI::App& app, std::span<const ParamSpec> specs, ParamMap& values) {
  for (const ParamSpec& spec : specs) {
    const std::string option = "--" + std::string(spec.name);
    const auto take = [&spec, &values, option](const std::string& given) {
      values.set(spec, given, option);
    };
    app.add_option_function<std::string>(option, take)->group("");
  }
}

}  // namespace pare::app
