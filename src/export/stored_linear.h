// A quantized linear put together again from its tensors; everything is checked before it is used.
#pragma once

#include "export/exporter.h"
#include "export/parts.h"

#include <array>
#include <optional>
#include <string>

namespace pare::export_ {

/// The tensors of one linear as they were found, and what the description says of them.
struct FoundLinear {
  std::string module;
  const quant::NamedScheme* scheme = nullptr;
  Int4 int4 = Int4::unpacked;
  std::int64_t group_size = 0;  // as the description states it, 0 = not stated
  std::array<std::optional<TensorView>, kPartCount> parts;

  const std::optional<TensorView>& operator[](Part part) const noexcept {
    return parts[static_cast<std::size_t>(part)];
  }
  std::optional<TensorView>& operator[](Part part) noexcept {
    return parts[static_cast<std::size_t>(part)];
  }
};

/// The parts that the scheme needs must be there.
/// Math: sizes come from weight_scale: [O, G] with G > 1 is per group, [O, 1] or [O] per channel,
///       [1] for more than one row per tensor. A linear is symmetric when all its zeros are 0.
/// Errors: tensor_mismatch for types, shapes and values that cannot be; not_finite; bad_description
///         when group_size, deq_scale and the scales contradict each other. All name the module.
StoredLinear read_linear(const FoundLinear& found);

}  // namespace pare::export_
