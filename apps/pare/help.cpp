#include "help.h"

#include "pare/quantize.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>

namespace pare::app {
namespace {

constexpr std::size_t kColumns = 96;
constexpr std::size_t kTextColumn = 30;

constexpr std::string_view kExitCodes = R"(Exit codes:
  0    done
  2    usage or recipe: an option, a value or a pattern is wrong
  3    file: missing, damaged, not writable
  4    unsupported architecture, scheme or feature; check: a rule failed
  5    numeric: NaN, infinity, or a value that does not fit
  6    a quality gate was missed
  7    check: no rules for what the folder holds, so that it neither passed nor failed
  130  interrupted (Ctrl-C); nothing is left half-written
)";

/// Words of `text` in lines that begin at column `indent`; the first line is begun already.
std::string wrap(std::string_view text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > kColumns) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

/// Characters, not bytes.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string two_columns(const std::string& left, const std::string& right) {
  const std::size_t used = 2 + columns(left);
  const bool fits = used + 2 <= kTextColumn;
  const std::string gap =
      fits ? std::string(kTextColumn - used, ' ') : "\n" + std::string(kTextColumn, ' ');
  return "  " + left + gap + wrap(right, kTextColumn) + "\n";
}

/// "a | b": so that long lists of choices can be wrapped.
std::string spaced(const std::string& choices) {
  std::string out;
  for (const char c : choices)
    out += c == '|' ? std::string(" | ") : std::string(1, c);
  return out;
}

/// Options as `--context N`, their text in a second column, defaults in brackets.
class Layout final : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string /*name*/,
                        CLI::AppFormatMode /*mode*/) const override {
    std::string text = app->get_description() + "\n\n" + usage(*app);
    text += group("Arguments", app->get_options(is_positional));
    for (const std::string& name : app->get_groups()) {
      text += group(name, app->get_options([&name](const CLI::Option* option) {
        return option->get_group() == name && !is_positional(option);
      }));
    }
    return text + app->get_footer();
  }

 private:
  static constexpr std::size_t kLongestType = 16;

  static bool is_positional(const CLI::Option* option) { return option->get_positional(); }

  static std::string usage(const CLI::App& app) {
    std::string line = "Usage: " + app.get_name();
    for (const CLI::Option* option : app.get_options(is_positional)) {
      const std::string name = option->get_name(true);
      line += option->get_required() ? " " + name : " [" + name + "]";
    }
    return line + " [OPTIONS]\n";
  }

  static std::string group(const std::string& title,
                           const std::vector<const CLI::Option*>& options) {
    if (options.empty()) return "";
    std::string text = "\n" + title + ":\n";
    for (const CLI::Option* option : options)
      text += two_columns(left(*option), right(*option));
    return text;
  }

  static std::string left(const CLI::Option& option) {
    const bool positional = is_positional(&option);
    std::string text = option.get_name(positional, !positional);
    std::replace(text.begin(), text.end(), ',', ' ');
    if (positional || option.get_type_size() == 0) return text;
    const std::string type = option.get_type_name();
    text += " " + (type.size() > kLongestType ? std::string("WORD") : type);
    return option.get_expected_max() > 1 ? text + " …" : text;
  }

  static std::string right(const CLI::Option& option) {
    std::string text = option.get_description();
    const std::string type = option.get_type_name();
    if (option.get_type_size() != 0 && type.size() > kLongestType) text += ": " + spaced(type);
    if (!option.get_default_str().empty()) text += " [" + option.get_default_str() + "]";
    return text;
  }
};

std::string indented(std::string_view lines) {
  std::string out;
  std::istringstream in{std::string(lines)};
  for (std::string line; std::getline(in, line);)
    out += "  " + line + "\n";
  return out;
}

}  // namespace

std::string main_help() {
  std::string text = fmt::format(
      "{}\n\nUsage: pare COMMAND …\n\nCommands:\n",
      wrap("Pare makes large language models small: it quantizes float checkpoints after training, "
           "on the CPU you already have, and measures what it wrote.",
           0));
  for (const Verb* verb : verbs()) {
    text += two_columns(std::string(verb->name), std::string(verb->summary));
  }
  text += "\nOptions:\n";
  text += two_columns("-h --help", "this text; `pare COMMAND --help` explains a command");
  text += two_columns("--version", "version, build and instruction sets");
  text += fmt::format("\n{}", kExitCodes);
  text += fmt::format(
      "\nEnvironment:\n{}{}", two_columns("NO_COLOR", "no colours when set"),
      two_columns("PARE_ISA",
                  "caps the instruction set: scalar | avx2 | avx512 | avx512bf16 | amx"));
  return text;
}

std::string version_text() {
  std::string text =
      fmt::format("pare {}\nbuilt with {} {}, {}\ninstruction sets here:", PARE_VERSION,
                  PARE_COMPILER, __VERSION__, PARE_BUILD_TYPE);
  const InstructionSets sets = instruction_sets();
  for (const std::string_view set : sets.available)
    text += fmt::format(" {}", set);
  return text + fmt::format("; in use: {}\n", sets.in_use);
}

void dress_help(CLI::App& app, const Verb& verb) {
  app.description(wrap(verb.description, 0));
  app.formatter(std::make_shared<Layout>());
  app.set_help_flag("-h,--help", "this text")->group("Common options");
  std::string footer = "\n";
  if (!verb.examples.empty()) footer += "Examples:\n" + indented(verb.examples) + "\n";
  app.footer(footer + "`pare --help` lists the exit codes.\n");
}

}  // namespace pare::app
