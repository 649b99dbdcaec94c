// What a linear layer is quantized to: bits, symmetry, who shares a scale, and its activations.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pare::quant {

enum class Granularity { tensor, channel, group };  // one scale per matrix, per row, per group

enum class Activations {
  none,           // weight-only: float activations
  static_tensor,  // int8, one scale and zero point for the tensor, from calibration
  dynamic_token   // int8, one scale per token at run time
};

/// How codes stand for weights.
enum class CodeForm {
  uniform,   // code * scale
  outliers,  // sparse: most weights on a 4-bit grid, a few outliers on the int8 grid of the same scale
  two_stage  // code * group scale * row scale; group scales are whole numbers
};

struct Scheme {
  int weight_bits = 8;
  bool symmetric = true;
  Granularity granularity = Granularity::channel;
  std::int64_t group_size = 0;  // input columns per scale; only for Granularity::group
  Activations activations = Activations::none;
  CodeForm form = CodeForm::uniform;

  /// Scales per row for a matrix with `in` input columns.
  std::int64_t groups(std::int64_t in) const noexcept {
    return granularity == Granularity::group ? in / group_size : 1;
  }
  /// Columns that share one scale.
  std::int64_t group_columns(std::int64_t in) const noexcept {
    return granularity == Granularity::group ? group_size : in;
  }
  int qmin() const noexcept { return -(1 << (weight_bits - 1)); }
  int qmax() const noexcept { return (1 << (weight_bits - 1)) - 1; }

  /// "w4a16 g64", "w8a8", "w8a16 per-tensor asym": for people.
  std::string text() const;

  friend bool operator==(const Scheme&, const Scheme&) = default;
};

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
