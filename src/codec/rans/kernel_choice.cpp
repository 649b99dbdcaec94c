// The variants that the CPU can run, and the choice among them.
#include "codec/rans/kernel_choice.h"

#include "kernels/gemm.h"

namespace pare::codec::detail {

std::vector<NamedKernels> available_kernels() {
  std::vector<NamedKernels> found = {{"scalar", &kScalarKernels}};
#if defined(__x86_64__) && !defined(PARE_SCALAR_ONLY)
  __builtin_cpu_init();  // these also ask whether the operating system saves the registers
  if (!__builtin_cpu_supports("avx2")) return found;
  found.push_back({"avx2", &kAvx2Kernels});
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
      __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt"))
    found.push_back({"avx512vbmi2", &kAvx512Vbmi2Kernels});
#endif
  return found;
}

const CodecKernels& current_kernels() {
  static const CodecKernels& chosen = [&]() -> const CodecKernels& {
    const kernels::Isa cap = kernels::current_isa();
    const CodecKernels* best = &kScalarKernels;
    for (const NamedKernels& one : available_kernels()) {
      const bool allowed = one.name == "scalar" || cap >= kernels::Isa::avx512 ||
                           (one.name == "avx2" && cap >= kernels::Isa::avx2);
      if (allowed) best = one.kernels;
    }
    return *best;
  }();
  return chosen;
}

}  // namespace pare::codec::detail
