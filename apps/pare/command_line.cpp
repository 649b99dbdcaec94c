#include "command_line.h"

#include "help.h"
#include "options/add_options.h"
#include "pare/error.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

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

constexpr std::array kJsonObjectParam = {
    ParamSpec{.name = "json",
              .type = ParamType::flag,
              .help = "print the result as one JSON object; a failure as one that holds `error`"}};
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

/// An option with the words behind it that belong to it: those of a list until the next option.
struct TakenWords {
  std::size_t count = 0;
  bool spare = false;  // a list that has a value without the last word
};

TakenWords words_taken(const CLI::App& app, std::span<const std::string> from) {
  const std::string name = from[0].substr(0, from[0].find('='));
  const bool has_value = name.size() < from[0].size();
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option == nullptr || option->get_type_size() == 0) return {};
  const bool list = option->get_expected_max() > 1;
  const std::size_t most = list ? from.size() : has_value ? 0 : 1;
  std::size_t count = 0;
  while (count < most && count + 1 < from.size() && !from[count + 1].starts_with('-'))
    ++count;
  return {count, list && count + (has_value ? 1 : 0) > 1};
}

/// In `--list a b MODEL --more` nothing but MODEL can be what must be given, so the last word of a
/// list is taken for it where nothing else is left. It goes to the front.
void free_positional(const CLI::App& app, std::vector<std::string>& arguments) {
  const std::vector<const CLI::Option*> needed = app.get_options(
      [](const CLI::Option* option) { return option->get_positional() && option->get_required(); });
  std::size_t last_of_list = 0;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    if (!arguments[at].starts_with('-')) return;
    const TakenWords taken = words_taken(app, std::span(arguments).subspan(at));
    at += taken.count;
    if (taken.spare) last_of_list = at;
  }
  if (needed.size() != 1 || last_of_list == 0) return;
  std::rotate(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(last_of_list),
              arguments.begin() + static_cast<std::ptrdiff_t>(last_of_list) + 1);
}

void parse_options(CLI::App& app, std::vector<std::string> arguments) {
  free_positional(app, arguments);
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
