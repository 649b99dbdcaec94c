// Digests: SHA-256 for identity that others can check, XXH3 for speed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace pare::io {

/// SHA-256 as 64 lower-case hex digits.
std::string sha256_hex(std::span<const std::byte> data);
std::string sha256_hex(std::string_view text);

/// XXH3-64 (Collet, xxHash 0.8 specification).
std::uint64_t xxh3(std::span<const std::byte> data) noexcept;

/// SHA-256 of data that comes in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(std::span<const std::byte> piece);
  /// The digest as `sha256_hex` spells it; the object is used up.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// XXH3-64 of data that comes in pieces.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  void update(std::span<const std::byte> piece) noexcept;
  std::uint64_t value() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pare::io
