// pare list: what this build can do, straight from the tables of descriptors.
#include "check/rule.h"
#include "pare/error.h"
#include "pare/job.h"
#include "eval/perplexity.h"
#include "layouts/layout.h"
#include "containers/tensor_source.h"
#include "io/json.h"
#include "model/architecture.h"
#include "quant/method.h"
#include "pare/quantized_linear.h"
#include "text/tokenizer.h"
#include "verb.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pare::app {
namespace {

struct Entry {
  std::string_view id;
  std::string_view summary;
  std::span<const ParamSpec> params = {};
  std::string_view source = {};
  std::string_view source = {};
  std::span<const std::string_view> layouts = {};
  std::span<const std::string_view> targets = {};
};
using Entries = std::vector<Entry>;

template <typename Table>
Entries from_table(const Table& table) {
  Entries entries;
  for (const auto* entry : table)
    entries.push_back({entry->id, entry->summary});
  return entries;
}

Entries methods() {
  Entries entries;
  for (const quant::Method* m : quant::methods()) {
    entries.push_back({m->id, m->summary, m->params, m->source});
  }
  return entries;
}

Entries layouts() {
  Entries entries;
  for (const layout::Layout* e : layout::layouts()) {
    entries.push_back({e->id, e->summary, e->params});
  }
  return entries;
}

Entries schemes() {
  Entries entries;
  const std::string choices = quant::named_scheme_choices();
  for (std::string_view rest = choices; !rest.empty();) {
    const std::size_t bar = rest.find('|');
    const quant::NamedScheme& scheme = quant::find_named_scheme(rest.substr(0, bar));
    entries.push_back({scheme.id, scheme.summary});
    rest.remove_prefix(bar == std::string_view::npos ? rest.size() : bar + 1);
  }
  return entries;
}

Entries rules() {
  Entries entries;
  for (const check::Rule* rule : check::rules())
    entries.push_back({.id = rule->id,
                       .summary = rule->summary,
                       .source = rule->source,
                       .layouts = rule->layouts,
                       .targets = rule->targets});
  return entries;
}

Entries targets() {
  Entries entries;
  for (const check::Target* t : check::targets()) {
    entries.push_back(
        {.id = t->id, .summary = t->summary, .source = t->source, .layouts = t->layouts});
  }
  return entries;
}

Entries protocols() {
  Entries entries;
  for (const eval::Protocol& p : eval::protocols())
    entries.push_back({p.id, p.summary});
  return entries;
}

struct Kind {
  std::string_view id;
  std::string_view title;
  Entries (*entries)();
};

constexpr std::array kKinds = {
    Kind{"schemes", "schemes: what a linear layer is quantized to", schemes},
    Kind{"methods", "methods: how a weight becomes codes", methods},
    Kind{"archs", "archs: architectures that can be run",
         [] { return from_table(model::architectures()); }},
    Kind{"exporters", "exporters: layouts that can be written and read back", layouts},
    Kind{"readers", "readers: checkpoint containers",
         [] { return from_table(containers::readers()); }},
    Kind{"tokenizers", "tokenizers: kinds of tokenizer files",
         [] { return from_table(text::tokenizer_kinds()); }},
    Kind{"protocols", "protocols: how perplexity is measured", protocols},
    Kind{"targets", "targets: engines that `pare check` knows", targets},
    Kind{"rules", "rules: what `pare check` holds a folder against", rules},
};

std::vector<Kind> chosen(const std::string& word) {
  if (word.empty()) return {kKinds.begin(), kKinds.end()};
  std::vector<std::string> known;
  for (const Kind& kind : kKinds) {
    if (kind.id == word) return {kind};
    known.emplace_back(kind.id);
  }
  const std::string near = closest_match(word, known);
  throw Error(ErrorCode::unknown_entry, fmt::format("\"{}\" is no list", word))
      .at("pare list")
      .hint(near.empty() ? fmt::format("there are {}", fmt::join(known, ", "))
                         : fmt::format("did you mean {}?", near));
}

io::Json param_json(const ParamSpec& spec) {
  io::Json object = {{"name", spec.name}, {"help", spec.help}};
  if (!spec.default_value.empty()) object["default"] = spec.default_value;
  if (!spec.choices.empty()) object["choices"] = spec.choices;
  if (spec.min < spec.max) object["range"] = {spec.min, spec.max};
  return object;
}

io::Json as_json(const Entries& entries) {
  io::Json list = io::Json::array();
  for (const Entry& entry : entries) {
    io::Json object = {{"id", entry.id}, {"summary", entry.summary}};
    if (!entry.source.empty()) object["paper"] = entry.source;
    if (!entry.source.empty()) object["source"] = entry.source;
    if (!entry.layouts.empty()) object["layouts"] = entry.layouts;
    if (!entry.targets.empty()) object["targets"] = entry.targets;
    io::Json params = io::Json::array();
    for (const ParamSpec& spec : entry.params)
      params.push_back(param_json(spec));
    object["params"] = params;
    list.push_back(object);
  }
  return list;
}

void print(Console& console, const Kind& kind) {
  console.result(std::string(kind.title));
  for (const Entry& entry : kind.entries()) {
    console.result(fmt::format("  {:<22}{}", entry.id, entry.summary));
    for (const ParamSpec& spec : entry.params) {
      console.result(fmt::format("  {:<22}  {}  {}", "", option_name(spec.name), spec.help));
    }
  }
}

int run(Session& session, const std::string& word) {
  io::Json object = io::Json::object();
  bool first = true;
  for (const Kind& kind : chosen(word)) {
    object[std::string(kind.id)] = as_json(kind.entries());
    if (session.json) continue;
    if (!first) session.console.result("");
    first = false;
    print(session.console, kind);
  }
  if (session.json) session.console.json(object);
  return 0;
}

Run declare(CLI::App& app) {
  auto word = std::make_shared<std::string>();
  std::string help = "which list:";
  for (const Kind& kind : kKinds)
    help += fmt::format(" {}", kind.id);
  app.add_option("KIND", *word, help + "; all when absent");
  return [word](Session& session) { return run(session, *word); };
}

}  // namespace

const Verb verb_list = {
    .name = "list",
    .summary = "what this build can do: schemes, methods, architectures, layouts",
    .description = "Prints the entries of one list, or of all, each with the options it takes.",
    .examples = "pare list\npare list methods --json",
    .json = JsonOutput::object,
    .declare = declare,
};

}  // namespace pare::app
