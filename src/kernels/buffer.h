// A grow-only block of memory for packed operands and scratch; large ones sit on huge pages.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace pare::kernels::detail {

/// Uninitialised memory aligned for tiles and vectors; nullptr for 0 bytes. Throws bad_alloc.
inline std::byte* allocate_aligned(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  const std::size_t alignment = bytes >= 2 * kHuge ? kHuge : 64;
  const std::size_t rounded = (bytes + 63) / 64 * 64;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, rounded) != 0) throw std::bad_alloc();
  if (alignment == kHuge) madvise(memory, rounded, MADV_HUGEPAGE);
  return static_cast<std::byte*>(memory);
}

class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { std::free(memory_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  /// At least `bytes`; what was there may be lost.
  std::byte* reserve(std::size_t bytes) {
    if (bytes <= capacity_) return memory_;
    std::free(memory_);
    memory_ = nullptr;
    capacity_ = 0;
    memory_ = allocate_aligned(bytes);
    capacity_ = bytes;
    return memory_;
  }

  const std::byte* data() const noexcept { return memory_; }

  float* floats(std::int64_t count) {
    return reinterpret_cast<float*>(reserve(static_cast<std::size_t>(count) * sizeof(float)));
  }

 private:
  std::byte* memory_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace pare::kernels::detail
