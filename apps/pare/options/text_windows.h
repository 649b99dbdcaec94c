// The text that `pare eval` and `pare compare` score: its option, and how results describe it.
#pragma once

#include "pare/eval.h"
#include "pare/job.h"
#include "verb.h"

#include <array>
#include <string>

namespace pare::app {

/// The text itself; how it is cut are the window_params() of the library.
inline constexpr std::array kTextParam = {ParamSpec{
    .name = "ppl",
    .type = ParamType::text,
    .help =
        "text file to score; {\"text\"} records of a .jsonl or .json are joined by empty lines"}};

/// Lines of a result.
void show_text(Console& console, const std::string& file, const EvalText& text);
void describe_text(Json& object, const std::string& file, const EvalText& text);

}  // namespace pare::app
