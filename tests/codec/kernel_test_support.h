// What tests of the codec's kernels share: tables and bytes by chance, room with a border that must
// stay as it was, and every variant beside the scalar one.
#pragma once

#include "codec/rans/kernel_choice.h"
#include "codec/rans/rans_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace pare::codec::detail {

using Bytes = std::vector<std::uint8_t>;
inline constexpr std::uint8_t kCanary = 0xA5;
inline constexpr std::size_t kGuard = 256;

/// Room that must be written exactly: a border of canaries lies around it.
class Guarded {
 public:
  explicit Guarded(std::size_t size) : size_(size), bytes_(size + 2 * kGuard, kCanary) {}
  std::uint8_t* data() { return bytes_.data() + kGuard; }
  Bytes value() const {
    return {bytes_.begin() + kGuard, bytes_.begin() + static_cast<std::ptrdiff_t>(kGuard + size_)};
  }
  bool intact() const {
    const auto canary = [](std::uint8_t b) { return b == kCanary; };
    return std::all_of(bytes_.begin(), bytes_.begin() + kGuard, canary) &&
           std::all_of(bytes_.end() - kGuard, bytes_.end(), canary);
  }

 private:
  std::size_t size_;
  Bytes bytes_;
};

inline Bytes with_slack(Bytes bytes) {
  bytes.resize(bytes.size() + kSlack, 0xEE);
  return bytes;
}

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_);
  }
  bool chance(double p) { return std::bernoulli_distribution(p)(engine_); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(below(256)); }
  int geometric(double p) { return std::geometric_distribution<int>(p)(engine_); }
  Bytes bytes(std::size_t n) {
    Bytes out(n);
    for (std::uint8_t& b : out)
      b = byte();
    return out;
  }

 private:
  std::mt19937 engine_;
};

/// Frequencies that sum to 256; some tables are steep, some have no room for escapes.
inline void fill_freqs(RansTable& table, bool escapes, Random& random) {
  const auto n = static_cast<std::size_t>(table.n);
  int left = 256 - table.n - (escapes ? 1 : 0);
  for (std::size_t i = 0; i < n; ++i)
    table.freqs[i] = 1;
  table.freqs[n] = escapes ? 1 : 0;
  const bool steep = random.chance(0.3);
  while (left > 0) {
    const std::size_t i = steep ? 0 : random.below(n + (escapes ? 1 : 0));
    const int room = std::min(left, 255 - table.freqs[i]);
    const int add =
        room == 0 ? 0 : 1 + static_cast<int>(random.below(static_cast<std::size_t>(room)));
    table.freqs[i] = static_cast<std::uint8_t>(table.freqs[i] + add);
    left -= add;
    if (room == 0 && steep) break;
  }
  for (std::size_t i = n - 1; left > 0; --i, --left)  // when the steep one is full
    ++table.freqs[i];
}

inline RansTable random_table(bool escapes, Random& random) {
  RansTable table;
  table.pair = random.chance(0.3);
  table.shift = table.pair ? 0 : static_cast<int>(random.below(3));
  table.escape_form = static_cast<int>(random.below(3));
  table.base = random.byte();
  const std::size_t most = std::min<std::size_t>(63, 256U >> table.shift);
  table.n = static_cast<int>(2 + random.below(random.chance(0.5) ? 13 : most - 2));
  std::array<std::uint8_t, 64> order{};
  for (std::size_t i = 0; i < 64; ++i)
    order[i] = static_cast<std::uint8_t>(i);
  for (std::size_t i = 63; i > 0; --i)
    std::swap(order[i], order[random.below(i + 1)]);
  if (table.pair) std::copy_n(order.begin(), table.n, table.pairs.begin());
  fill_freqs(table, escapes, random);
  return table;
}

/// For every variant that this CPU has but the scalar one, which is the judge.
class SimdKernels : public testing::TestWithParam<NamedKernels> {
 protected:
  const CodecKernels& simd() const { return *GetParam().kernels; }
  const CodecKernels& scalar() const { return kScalarKernels; }
};

inline std::vector<NamedKernels> simd_variants() {
  std::vector<NamedKernels> all = available_kernels();
  all.erase(all.begin());  // the scalar ones
  return all;
}

}  // namespace pare::codec::detail
