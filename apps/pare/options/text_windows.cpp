#include "options/text_windows.h"

#include <fmt/format.h>

namespace pare::app {

void show_text(Console& console, const std::string& file, const EvalText& text) {
  console.result(fmt::format("text        {}, {} tokens, ids sha256 {}…", file, text.text_tokens(),
                             text.ids_sha256().substr(0, 12)));
  console.result(fmt::format("protocol    {}-{}: {} windows, {} tokens scored", text.protocol(),
                             text.context(), text.windows(), text.scored_tokens()));
}

void describe_text(Json& object, const std::string& file, const EvalText& text) {
  object["protocol"] = text.protocol();
  object["context"] = text.context();
  object["text"] = file;
  object["text_tokens"] = text.text_tokens();
  object["ids_sha256"] = text.ids_sha256();
}

}  // namespace pare::app
