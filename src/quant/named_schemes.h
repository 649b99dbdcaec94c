// The schemes that users name, as one table.
#pragma once

#include "pare/quantized_linear.h"

#include <span>
#include <string>
#include <string_view>

namespace pare::quant {

/// A scheme users name: `w8a8`, `w8a8s`, `w4a16`, …
struct NamedScheme {
  std::string_view id;
  std::string_view summary;
  int weight_bits;
  Activations activations;
  CodeForm form;
  std::string_view scheme_tag;  // "W8A8_DYNAMIC": the tag in Ascend descriptions
  std::string_view default_method;
};

/// The table of named schemes; Errors (find): unknown_entry with a near match.
std::span<const NamedScheme> named_schemes() noexcept;
const NamedScheme& find_named_scheme(std::string_view id);

/// The tag of Ascend descriptions; "" when no named scheme has these bits and activations.
std::string_view scheme_tag_of(const Scheme& scheme) noexcept;
std::string named_scheme_choices();  // "w8a8|w8a8-dynamic|…"

}  // namespace pare::quant
