#include "codec/stream/append.h"

#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace pare::codec::detail {

namespace {

#if defined(__x86_64__)

constexpr std::size_t kLine = 64;

void copy_line(std::byte* to, const std::byte* from, Caches caches) {
  for (std::size_t i = 0; i < kLine; i += sizeof(__m128i)) {
    const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    auto* place = reinterpret_cast<__m128i*>(to + i);
    caches == Caches::pass ? _mm_stream_si128(place, part) : _mm_store_si128(place, part);
  }
}

// memcpy would take `rep movsb`, which is slow for a few KiB to places that are not aligned.
void copy(std::byte* to, std::span<const std::byte> bytes, Caches caches) {
  const std::size_t unaligned = (0 - reinterpret_cast<std::uintptr_t>(to)) % kLine;
  std::size_t at = unaligned < bytes.size() ? unaligned : bytes.size();
  std::memcpy(to, bytes.data(), at);
  for (; at + kLine <= bytes.size(); at += kLine)
    copy_line(to + at, bytes.data() + at, caches);
  std::memcpy(to + at, bytes.data() + at, bytes.size() - at);
  if (caches == Caches::pass) _mm_sfence();
}

#else

void copy(std::byte* to, std::span<const std::byte> bytes, Caches /*caches*/) {
  std::memcpy(to, bytes.data(), bytes.size());
}

#endif

}  // namespace

void append(RawBytes& payload, std::span<const std::byte> bytes, Caches caches) {
  if (bytes.empty()) return;
  const std::size_t size = payload.size();
  payload.resize(size + bytes.size());
  copy(payload.data() + size, bytes, caches);
}

}  // namespace pare::codec::detail
