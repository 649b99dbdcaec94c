// What a verb of the command line is: one file verb_<name>.cpp and one line in verbs.def each.
#pragma once

#include "console.h"
#include "pare/context.h"

#include <functional>
#include <span>
#include <string_view>

namespace CLI {
class App;  // options/add_options.h adds options to it
}

namespace pare::app {

/// What a running verb may use.
struct Session {
  Context& ctx;      // threads, cancellation, and the library's voice (it ends in `console`)
  Console& console;  // results for people, JSON for programs
  bool json = false;
};

/// What --json means for a verb.
enum class JsonOutput {
  none,    // the verb has no --json
  object,  // one object, by Console::json, when the verb is done
  events   // one event per line while it runs, by Context::event
};

/// Runs a verb whose options are filled; the value is the exit code, failures are thrown.
using Run = std::function<int(Session&)>;

struct Verb {
  std::string_view name;
  std::string_view summary;      // one line for the overview: starts lower case, no full stop
  std::string_view description;  // the first paragraph of its help
  std::string_view examples;     // command lines, one per line
  JsonOutput json = JsonOutput::none;
  /// Adds options and positionals to `app`, which parses them before the returned Run is called.
  /// The values live in a shared struct that the Run captures. --threads, --quiet and --json are
  /// added to every verb already.
  Run (*declare)(CLI::App& app);
};

#define PARE_VERB(name) extern const Verb verb_##name;
#include "verbs.def"
#undef PARE_VERB

/// All verbs in the order of verbs.def.
std::span<const Verb* const> verbs() noexcept;

/// Errors: bad_usage with a near match.
const Verb& find_verb(std::string_view name);

}  // namespace pare::app
