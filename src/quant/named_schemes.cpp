#include "quant/named_schemes.h"

#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <vector>

namespace pare::quant {
namespace {

constexpr std::array kNamedSchemes = {
    NamedScheme{"w8a8", "8-bit weights, 8-bit activations with one scale from calibration", 8,
                Activations::static_tensor, CodeForm::uniform, "W8A8", "minmax"},
    NamedScheme{"w8a8-dynamic", "8-bit weights, 8-bit activations scaled per token at run time", 8,
                Activations::dynamic_token, CodeForm::uniform, "W8A8_DYNAMIC", "minmax"},
    NamedScheme{"w8a8s",
                "sparse: weights on a 4-bit grid with a few 8-bit outliers, 8-bit activations; "
                "made to be compressed",
                8, Activations::static_tensor, CodeForm::outliers, "W8A8S", "co-sparse"},
    NamedScheme{"w8a16", "8-bit weights, float activations", 8, Activations::none,
                CodeForm::uniform, "W8A16", "minmax"},
    NamedScheme{"w4a16", "4-bit weights, float activations", 4, Activations::none,
                CodeForm::uniform, "W4A16", "minmax"},
    NamedScheme{"w4a8-dynamic",
                "4-bit weights with two stages of scales, 8-bit activations scaled per token", 4,
                Activations::dynamic_token, CodeForm::two_stage, "W4A8_DYNAMIC", "two-stage"},
};

const NamedScheme* named_scheme_of(const Scheme& scheme) noexcept {
  for (const NamedScheme& named : kNamedSchemes) {
    const bool same = named.weight_bits == scheme.weight_bits &&
                      named.activations == scheme.activations && named.form == scheme.form;
    if (same) return &named;
  }
  return nullptr;
}

std::string base_name(const Scheme& scheme) {
  if (const NamedScheme* named = named_scheme_of(scheme)) return std::string(named->id);
  std::string name =
      fmt::format("w{}a{}", scheme.weight_bits, scheme.activations == Activations::none ? 16 : 8);
  if (scheme.activations == Activations::dynamic_token) name += "-dynamic";
  return name;
}

}  // namespace

std::string Scheme::text() const {
  std::string text = base_name(*this);
  if (granularity == Granularity::tensor) text += " per-tensor";
  if (granularity == Granularity::group) text += fmt::format(" g{}", group_size);
  if (!symmetric) text += " asym";
  return text;
}

std::span<const NamedScheme> named_schemes() noexcept { return kNamedSchemes; }

const NamedScheme& find_named_scheme(std::string_view id) {
  std::vector<std::string> known;
  for (const NamedScheme& named : kNamedSchemes) {
    if (named.id == id) return named;
    known.emplace_back(named.id);
  }
  Error error(ErrorCode::unknown_entry, fmt::format("scheme \"{}\"", id));
  const std::string near = closest_match(id, known);
  if (!near.empty()) throw std::move(error).hint(fmt::format("did you mean \"{}\"?", near));
  throw std::move(error).hint(fmt::format("the schemes are {}", fmt::join(known, ", ")));
}

std::string_view scheme_tag_of(const Scheme& scheme) noexcept {
  const NamedScheme* named = named_scheme_of(scheme);
  return named == nullptr ? std::string_view{} : named->scheme_tag;
}

std::string named_scheme_choices() {
  std::string choices;
  for (const NamedScheme& named : kNamedSchemes) {
    if (!choices.empty()) choices += '|';
    choices += named.id;
  }
  return choices;
}

}  // namespace pare::quant
