#include "options/model_options.h"

#include <fmt/format.h>

namespace pare::app {

std::string label_of(const Model& model) {
  return fmt::format("{} ({}, {})", model.folder().string(), model.architecture(), model.kind());
}

double seconds_since(Moment start) { return std::chrono::duration<double>(now() - start).count(); }

void add_run_facts(Json& object, const Session& session, const Model& model, Moment start) {
  object["compute"] = model.compute();
  object["threads"] = session.ctx.threads();
  object["seconds"] = seconds_since(start);
  object["peak_rss_bytes"] = peak_rss_bytes();
}

}  // namespace pare::app
