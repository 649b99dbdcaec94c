#include "verb.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

namespace pare::app {
namespace {

constexpr std::array kVerbs = {
#define PARE_VERB(name) &verb_##name,
#include "verbs.def"
#undef PARE_VERB
};

}  // namespace

std::span<const Verb* const> verbs() noexcept { return kVerbs; }

const Verb& find_verb(std::string_view name) {
  std::vector<std::string> known;
  for (const Verb* verb : kVerbs) {
    if (verb->name == name) return *verb;
    known.emplace_back(verb->name);
  }
  const std::string near = closest_match(name, known);
  throw Error(ErrorCode::bad_usage, fmt::format("there is no command \"{}\"", name))
      .hint(near.empty() ? "`pare --help` lists the commands"
                         : fmt::format("did you mean `pare {}`?", near));
}

}  // namespace pare::app
