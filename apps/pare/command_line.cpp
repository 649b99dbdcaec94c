#include "command_line.h"

#include "help.h"
#include "options/add_options.h"
#include "pare/error.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare::app {
namespace {

constexpr std::array kCommonParams = {
    ParamSpec{.name = "threads",
              .type = ParamType::integer,
              .min = 1,
              .max = 4096,
              .help = "worker threads; unset = every core this process may use"},
    ParamSpec{.name = "quiet",
              .type = ParamType::flag,
              .help = "no progress and no remarks; results, warnings and errors stay"},
};

constexpr std::array kJsonObjectParam = {ParamSpec{
    .name = "json", .type = ParamType::flag, .help = "print the result as one JSON object"}};
constexpr std::array kJsonEventsParam = {
    ParamSpec{.name = "json",
              .type = ParamType::flag,
              .help = "print one JSON object per event; text for people goes to stderr"}};

void add_common(CLI::App& app, const Verb& verb, ParamMap& values) {
  constexpr const char* kGroup = "Common options";
  if (verb.json == JsonOutput::object) add_params(app, kJsonObjectParam, values, kGroup);
  if (verb.json == JsonOutput::events) add_params(app, kJsonEventsParam, values, kGroup);
  add_params(app, kCommonParams, values, kGroup);
}

std::string option_hint(const CLI::App& app, const std::string& argument) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      known.push_back("--" + name);
  }
  const std::string near = closest_match(argument.substr(0, argument.find('=')), known);
  if (!near.empty()) return fmt::format("did you mean {}?", near);
  return fmt::format("`{} --help` lists the options", app.get_name());
}

[[noreturn]] void fail_extras(const CLI::App& app) {
  const std::vector<std::string> extras = app.remaining();
  const auto option = std::find_if(extras.begin(), extras.end(),
                                   [](const std::string& word) { return word.starts_with('-'); });
  if (option != extras.end()) {
    throw Error(ErrorCode::bad_usage, fmt::format("there is no option {}", *option))
        .at(app.get_name())
        .hint(option_hint(app, *option));
  }
  throw Error(ErrorCode::bad_usage,
              fmt::format("nothing is known to do with \"{}\"", extras.empty() ? "" : extras[0]))
      .at(app.get_name())
      .hint(fmt::format("`{} --help` shows the usage", app.get_name()));
}

void parse_options(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // the order CLI11 takes a vector in
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    throw;
  } catch (const CLI::ExtrasError&) {
    fail_extras(app);
  } catch (const CLI::ParseError& failure) {
    throw Error(ErrorCode::bad_usage, failure.what())
        .at(app.get_name())
        .hint(fmt::format("`{} --help` shows the usage", app.get_name()));
  }
}

}  // namespace

Command parse_command_line(const std::vector<std::string>& arguments) {
  Command command;
  const std::string first = arguments.empty() ? "--help" : arguments.front();
  if (first == "-h" || first == "--help" || first == "help") {
    command.text = main_help();
    return command;
  }
  if (first == "--version") {
    command.text = version_text();
    return command;
  }
  if (first.starts_with('-')) {
    throw Error(ErrorCode::bad_usage, fmt::format("\"{}\" stands where a command should", first))
        .hint("a command comes first: pare COMMAND [OPTIONS]; `pare --help` lists them");
  }
  const Verb& verb = find_verb(first);
  CLI::App app("", fmt::format("pare {}", verb.name));
  ParamMap common;
  command.run = verb.declare(app);
  add_common(app, verb, common);
  dress_help(app, verb);
  try {
    parse_options(app, {arguments.begin() + 1, arguments.end()});
  } catch (const CLI::CallForHelp&) {
    command.text = app.help();
    return command;
  }
  command.verb = &verb;
  command.threads = static_cast<int>(common.integer("threads"));
  command.quiet = common.flag("quiet");
  command.json = common.flag("json");
  return command;
}

}  // namespace pare::app
