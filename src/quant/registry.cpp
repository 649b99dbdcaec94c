// The table of methods, made from methods.def.
#include "pare/error.h"
#include "quant/method.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <vector>

namespace pare::quant {

#define PARE_METHOD(name) extern const Method name##_method;
#include "quant/methods.def"
#undef PARE_METHOD

namespace {

constexpr std::array kMethods = {
#define PARE_METHOD(name) &name##_method,
#include "quant/methods.def"
#undef PARE_METHOD
};

}  // namespace

std::span<const Method* const> methods() noexcept { return kMethods; }

const Method& find_method(std::string_view id) {
  std::vector<std::string> known;
  for (const Method* method : kMethods) {
    if (method->id == id) return *method;
    known.emplace_back(method->id);
  }
  Error error(ErrorCode::unknown_entry, fmt::format("method \"{}\"", id));
  const std::string near = closest_match(id, known);
  if (!near.empty()) throw std::move(error).hint(fmt::format("did you mean \"{}\"?", near));
  throw std::move(error).hint(fmt::format("the methods are {}", fmt::join(known, ", ")));
}

}  // namespace pare::quant
