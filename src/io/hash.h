// Digests: SHA-256 for identity that others can check, XXH3 for speed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pare::io {

/// SHA-256 as 64 lower-case hex digits.
std::string sha256_hex(std::span<const std::byte> data);
std::string sha256_hex(std::string_view text);

/// XXH3-64 (Collet, xxHash 0.8 specification).
std::uint64_t xxh3(std::span<const std::byte> data) noexcept;

}  // namespace pare::io
