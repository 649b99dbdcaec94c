// An engine that loads checkpoints: which layouts it reads. One file in targets/ and one line in
// targets.def each; what it asks of a layout are the rules that name it.
#pragma once

#include <span>
#include <string_view>

namespace pare::check {

struct Target {
  std::string_view id;
  std::string_view summary;
  std::span<const std::string_view> layouts;  // ids of layouts.h
  std::string_view source;                    // versions that were looked at
  /// Where modules_to_not_convert names nothing, it looks which linears have quantized tensors.
  bool derives_kept_modules = false;
  /// Builds the routers of a mixture of experts as float linears, whatever the files hold.
  bool builds_float_routers = false;
};

std::span<const Target* const> targets() noexcept;
/// Errors: unknown_entry with a near match.
const Target& find_target(std::string_view id);
bool loads(const Target& target, std::string_view layout) noexcept;

}  // namespace pare::check
