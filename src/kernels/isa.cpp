// Detection of the CPU's variants and the tables that belong to them.
#include "kernels/isa.h"

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#if defined(__x86_64__) && !defined(PARE_SCALAR_ONLY)
#define PARE_X86_VARIANTS 1
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "pare/error.h"

namespace pare::kernels {
namespace {

struct IsaName {
  Isa isa;
  std::string_view name;
};

constexpr std::array<IsaName, 5> kNames = {{{Isa::scalar, "scalar"},
                                            {Isa::avx2, "avx2"},
                                            {Isa::avx512, "avx512"},
                                            {Isa::avx512bf16, "avx512bf16"},
                                            {Isa::amx, "amx"}}};

#ifdef PARE_X86_VARIANTS

struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(unsigned leaf, unsigned sub) noexcept {
  Leaf r;
  if (__get_cpuid_count(leaf, sub, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

bool bit(unsigned word, int index) noexcept { return ((word >> index) & 1U) != 0; }

/// The register states the operating system saves (XCR0).
unsigned saved_states() noexcept {
  unsigned low = 0;
  unsigned high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/// Linux hands out the tile registers on request only; once per process.
bool request_tiles() noexcept {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

std::vector<Isa> detect() {
  std::vector<Isa> found = {Isa::scalar};
  const Leaf one = cpuid(1, 0);
  const Leaf seven = cpuid(7, 0);
  if (!bit(one.ecx, 27)) return found;  // OSXSAVE
  const unsigned states = saved_states();
  const bool ymm = (states & 0x6U) == 0x6U;
  const bool zmm = (states & 0xE6U) == 0xE6U;
  const bool tiles = (states & 0x60000U) == 0x60000U;
  const bool fma = bit(one.ecx, 12) && bit(one.ecx, 29);  // FMA, F16C
  if (!ymm || !fma || !bit(seven.ebx, 5)) return found;
  found.push_back(Isa::avx2);
  const bool f_bw_dq_vl =
      bit(seven.ebx, 16) && bit(seven.ebx, 30) && bit(seven.ebx, 17) && bit(seven.ebx, 31);
  if (!zmm || !f_bw_dq_vl) return found;
  found.push_back(Isa::avx512);
  if (!bit(cpuid(7, 1).eax, 5)) return found;
  found.push_back(Isa::avx512bf16);
  const bool amx_tile_bf16 = bit(seven.edx, 24) && bit(seven.edx, 22);
  if (tiles && amx_tile_bf16 && request_tiles()) found.push_back(Isa::amx);
  return found;
}

#else

std::vector<Isa> detect() { return {Isa::scalar}; }

#endif

const std::vector<Isa>& detected() {
  static const std::vector<Isa> found = detect();
  return found;
}

}  // namespace

std::string_view isa_name(Isa isa) noexcept {
  for (const IsaName& entry : kNames) {
    if (entry.isa == isa) return entry.name;
  }
  return "?";
}

std::vector<Isa> available_isas() { return detected(); }

Isa current_isa() {
  static const Isa isa = detail::choose_isa(std::getenv("PARE_ISA"), detected());
  return isa;
}

bool has_fast_bf16() { return current_isa() >= Isa::avx512bf16; }

namespace detail {

Isa choose_isa(const char* wanted, std::span<const Isa> available) {
  if (wanted == nullptr || *wanted == '\0') return available.back();
  std::string allowed;
  for (const Isa isa : available) {
    if (isa_name(isa) == wanted) return isa;
    if (!allowed.empty()) allowed += ", ";
    allowed += isa_name(isa);
  }
  throw Error(ErrorCode::bad_option_value, "PARE_ISA=" + std::string(wanted))
      .at("environment")
      .hint("this CPU and build allow " + allowed);
}

const Engine& engine_for(Compute compute, Isa isa) noexcept {
  const bool f32 = compute == Compute::f32;
#ifdef PARE_X86_VARIANTS
  if (!f32 && isa == Isa::amx) return kBf16Amx;
  if (!f32 && isa == Isa::avx512bf16) return kBf16Avx512;
  if (isa >= Isa::avx512) return f32 ? kF32Avx512 : kRoundedAvx512;
  if (isa == Isa::avx2) return f32 ? kF32Avx2 : kRoundedAvx2;
#else
  static_cast<void>(isa);
#endif
  return f32 ? kF32Scalar : kRoundedScalar;
}

const RowKernels& row_kernels_for(Isa isa) noexcept {
#ifdef PARE_X86_VARIANTS
  if (isa >= Isa::avx512) return kRowsAvx512;
  if (isa == Isa::avx2) return kRowsAvx2;
#else
  static_cast<void>(isa);
#endif
  return kRowsScalar;
}

const RowKernels& row_kernels() {
  static const RowKernels& rows = row_kernels_for(current_isa());
  return rows;
}

}  // namespace detail
}  // namespace pare::kernels
