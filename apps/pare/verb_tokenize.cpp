// pare tokenize: the ids a model sees.
#include "options/add_options.h"
#include "pare/eval.h"
#include "pare/job.h"
#include "verb.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

namespace pare::app {
namespace {

constexpr std::array kParams = {
    ParamSpec{.name = "pieces",
              .type = ParamType::flag,
              .help = "one `id<TAB>piece` per line, the piece as the vocabulary spells it"},
    ParamSpec{.name = "lines",
              .type = ParamType::flag,
              .help = "every line of the input is a text of its own"},
};

struct Options {
  std::string model;
  std::string file = "-";
  ParamMap values;
};

std::string read_input(const std::string& file) {
  if (file != "-") return read_text_file(file);
  return as_text({std::istreambuf_iterator<char>(std::cin), {}}, "standard input");
}

std::string shown(const Tokenizer& tokenizer, std::string_view text, bool pieces) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  if (!pieces) return fmt::format("{}\n", fmt::join(ids, " "));
  std::string out;
  for (const std::int32_t id : ids)
    out += fmt::format("{}\t{}\n", id, tokenizer.piece(id));
  return out;
}

int run(Session& session, const Options& options) {
  const Tokenizer tokenizer(options.model);
  const std::string input = read_input(options.file);
  const bool pieces = options.values.flag("pieces");
  if (!options.values.flag("lines")) {
    session.console.stream(shown(tokenizer, input, pieces));
    return 0;
  }
  std::string_view rest = input;
  while (!rest.empty()) {
    session.ctx.check_cancelled();
    const std::size_t end = rest.find('\n');
    session.console.stream(shown(tokenizer, rest.substr(0, end), pieces));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "MODEL", options->model, "folder with the tokenizer's files", {.required = true});
  add_option(app, "FILE", options->file, "text file; standard input when absent or -");
  add_params(app, kParams, options->values);
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

const Verb verb_tokenize = {
    .name = "tokenize",
    .summary = "the token ids of a text, as the model sees them",
    .description =
        "Tokenizes a whole file as one text and prints its ids in one line, with the special "
        "tokens (such as BOS) that the model's tokenizer adds by default.",
    .examples =
        "echo \"The river rose eleven feet.\" | pare tokenize demo/model --pieces\n"
        "pare tokenize demo/model demo/text.txt --lines",
    .json = JsonOutput::none,
    .declare = declare,
};

}  // namespace pare::app
