// pare list: what this build can do, straight from the tables of descriptors.
#include "options/add_options.h"
#include "pare/error.h"
#include "pare/job.h"
#include "pare/quantize.h"
#include "verb.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>
#include <vector>

namespace pare::app {
namespace {

/// All lists, or the one that is asked for.
std::vector<Listing> chosen(const std::string& word) {
  std::vector<Listing> all = listings();
  if (word.empty()) return all;
  std::vector<std::string> known;
  for (Listing& listing : all) {
    if (listing.id == word) return {std::move(listing)};
    known.emplace_back(listing.id);
  }
  const std::string near = closest_match(word, known);
  throw Error(ErrorCode::unknown_entry, fmt::format("\"{}\" is no list", word))
      .at("pare list")
      .hint(near.empty() ? fmt::format("there are {}", fmt::join(known, ", "))
                         : fmt::format("did you mean {}?", near));
}

Json param_json(const ParamSpec& spec) {
  Json object = {{"name", spec.name}, {"help", spec.help}};
  if (!spec.default_value.empty()) object["default"] = spec.default_value;
  if (!spec.choices.empty()) object["choices"] = spec.choices;
  if (spec.min < spec.max) object["range"] = {spec.min, spec.max};
  return object;
}

Json as_json(const std::vector<Entry>& entries) {
  Json list = Json::array();
  for (const Entry& entry : entries) {
    Json object = {{"id", entry.id}, {"summary", entry.summary}};
    if (!entry.paper.empty()) object["paper"] = entry.paper;
    if (!entry.source.empty()) object["source"] = entry.source;
    if (!entry.layouts.empty()) object["layouts"] = entry.layouts;
    if (!entry.targets.empty()) object["targets"] = entry.targets;
    Json params = Json::array();
    for (const ParamSpec& spec : entry.params)
      params.push_back(param_json(spec));
    object["params"] = params;
    list.push_back(object);
  }
  return list;
}

void print(Console& console, const Listing& listing) {
  console.result(listing.title);
  for (const Entry& entry : listing.entries) {
    console.result(fmt::format("  {:<22}{}", entry.id, entry.summary));
    for (const ParamSpec& spec : entry.params) {
      console.result(fmt::format("  {:<22}  {}  {}", "", option_name(spec.name), spec.help));
    }
  }
}

int run(Session& session, const std::string& word) {
  Json object = Json::object();
  bool first = true;
  for (const Listing& listing : chosen(word)) {
    object[std::string(listing.id)] = as_json(listing.entries);
    if (session.json) continue;
    if (!first) session.console.result("");
    first = false;
    print(session.console, listing);
  }
  if (session.json) session.console.json(object);
  return 0;
}

Run declare(CLI::App& app) {
  auto word = std::make_shared<std::string>();
  std::string help = "which list:";
  for (const Listing& listing : listings())
    help += fmt::format(" {}", listing.id);
  add_option(app, "KIND", *word, help + "; all when absent");
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
