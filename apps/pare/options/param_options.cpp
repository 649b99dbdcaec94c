#include "options/param_options.h"

#include <vector>

namespace pare::app {
namespace {

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
    return app.add_option_function<std::vector<std::string>>(option, take, help);
  }
  const auto take = [&spec, &values, option](const std::string& given) {
    values.set(spec, given, option);
  };
  return app.add_option_function<std::string>(option, take, help);
}

}  // namespace

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

}  // namespace pare::app
