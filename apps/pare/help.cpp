#include "help.h"

#include <algorithm>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include "kernels/gemm.h"

namespace pare::app {
namespace {

constexpr std::size_t kColumns = 96;
constexpr std::size_t kTextColumn = 30;

constexpr std::string_view kExitCodes = R"(Exit codes:
  0    done
  2    usage or recipe: an option, a value or a pattern is wrong
  3    file: missing, damaged, not writable
  4    unsupported architecture, scheme or feature
  5    numeric: NaN, infinity, or a value that does not fit
  6    a quality gate was missed
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

std::string two_columns(const std::string& left, const std::string& right) {
  std::string line = "  " + left;
  if (line.size() + 2 > kTextColumn) {
    line += "\n" + std::string(kTextColumn, ' ');
  } else {
    line.resize(kTextColumn, ' ');
  }
  return line + wrap(right, kTextColumn) + "\n";
}

/// Options as `--context N`, their text wrapped in a second column, defaults in brackets.
class Layout final : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    std::string left = option->get_name(is_positional, !is_positional);
    std::replace(left.begin(), left.end(), ',', ' ');
    if (!is_positional && option->get_type_size() != 0) {
      const std::string type = option->get_type_name();
      left += " " + (type.size() > 16 ? std::string("WORD") : type);
      if (option->get_expected_max() > 1) left += " …";
    }
    return two_columns(left, right_side(*option));
  }

  /// One blank line in front of a group and none behind it.
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override {
    std::string text = "\n" + group + ":\n";
    for (const CLI::Option* option : options) text += make_option(option, is_positional);
    return text;
  }

  std::string make_usage(const CLI::App* app, std::string /*name*/) const override {
    std::string line = "Usage: " + app->get_name();
    for (const CLI::Option* option :
         app->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
      const std::string name = option->get_name(true);
      line += option->get_required() ? " " + name : " [" + name + "]";
    }
    return line + " [OPTIONS]\n";
  }

 private:
  static std::string right_side(const CLI::Option& option) {
    std::string text = option.get_description();
    const std::string type = option.get_type_name();
    if (option.get_type_size() != 0 && type.size() > 16) text += ": " + spaced(type);
    if (!option.get_default_str().empty()) text += " [" + option.get_default_str() + "]";
    return text;
  }

  /// "a | b": so that long lists of choices can be wrapped.
  static std::string spaced(const std::string& choices) {
    std::string out;
    for (const char c : choices) out += c == '|' ? std::string(" | ") : std::string(1, c);
    return out;
  }
};

std::string indented(std::string_view lines) {
  std::string out;
  std::istringstream in{std::string(lines)};
  for (std::string line; std::getline(in, line);) out += "  " + line + "\n";
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
      "\nEnvironment:\n{}{}",
      two_columns("NO_COLOR", "no colours when set"),
      two_columns("PARE_ISA", "caps the instruction set: scalar | avx2 | avx512 | avx512bf16 | amx"));
  return text;
}

std::string version_text() {
  std::string text = fmt::format("pare {}\nbuilt with {} {}, {}\ninstruction sets here:",
                                 PARE_VERSION, PARE_COMPILER, __VERSION__, PARE_BUILD_TYPE);
  for (const kernels::Isa isa : kernels::available_isas()) {
    text += fmt::format(" {}", kernels::isa_name(isa));
  }
  return text + fmt::format("; in use: {}\n", kernels::isa_name(kernels::current_isa()));
}

void dress_help(CLI::App& app, const Verb& verb) {
  app.description(wrap(verb.description, 0) + "\n");
  app.formatter(std::make_shared<Layout>());
  app.set_help_flag("-h,--help", "this text")->group("Common options");
  std::string footer = "\n";
  if (!verb.examples.empty()) footer += "Examples:\n" + indented(verb.examples) + "\n";
  app.footer(footer + "`pare --help` lists the exit codes.");
}

}  // namespace pare::app
