// Which instruction-set variants exist, and which table of functions belongs to each.
#pragma once

#include "kernels/gemm.h"
#include "kernels/variants/gemm_kernels.h"
#include "kernels/variants/row_kernels.h"

#include <span>
#include <string_view>

namespace pare::kernels::detail {

/// The variant to use when `wanted` (the value of PARE_ISA, nullptr = not set) caps the choice.
/// Errors: bad_option_value when `wanted` is unknown or not in `available`.
Isa choose_isa(const char* wanted, std::span<const Isa> available);

const Engine& engine_for(Compute compute, Isa isa) noexcept;
const RowKernels& row_kernels_for(Isa isa) noexcept;
/// Those of current_isa().
const RowKernels& row_kernels();

}  // namespace pare::kernels::detail
