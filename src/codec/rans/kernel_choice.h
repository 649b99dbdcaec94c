// Which variants of the codec's kernels this CPU can run, and which of them is used.
#pragma once

#include "codec/rans/rans_kernels.h"

#include <string_view>
#include <vector>

namespace pare::codec::detail {

struct NamedKernels {
  std::string_view name;  // "scalar", "avx2", "avx512vbmi2"
  const CodecKernels* kernels;
};

/// Every variant this CPU can run, best last, for tests and benchmarks.
std::vector<NamedKernels> available_kernels();

/// The best one that PARE_ISA allows; chosen once. "avx512" and above allow avx512vbmi2.
/// Errors: bad_option_value when PARE_ISA names a set that is unknown or not available here.
const CodecKernels& current_kernels();

}  // namespace pare::codec::detail
