// nlohmann-json without its literals, which cost a third of a second in every file that includes
// it.
#pragma once

// `"…"_json` is an inline function and not a template, so each file instantiates the whole parser
// of nlohmann::json for it, used or not. Here it is declared only, and its body becomes that of a
// template nobody instantiates. A version that spells the operator otherwise is merely slower.
#define _json(text, size)  \
  _json(text, size);       \
  template <typename None> \
  nlohmann::json unused_literal(text, size)
#include <nlohmann/json.hpp>
#undef _json
