// How a fuzzed input holds an encoded tensor: one byte of mode, the lengths of info and index as
// two u16, then info, index and payload. Mode bit 0: put the checksums right, so that what lies
// behind them is reached.
#pragma once

#include "io/hash.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace pare::fuzz {

inline constexpr std::size_t kHeader = 5;
inline constexpr std::uint8_t kFixChecksums = 1;

struct CodecInput {
  std::vector<std::byte> info, index, payload;  // each exactly as long as what it holds
};

inline std::size_t u16_at(std::span<const std::uint8_t> data, std::size_t at) {
  return data[at] | static_cast<std::size_t>(data[at + 1]) << 8;
}

inline std::vector<std::byte> copy_of(std::span<const std::uint8_t> part) {
  const auto bytes = std::as_bytes(part);
  return {bytes.begin(), bytes.end()};
}

/// The checksum of every tile of the index, and the one over info and index.
inline void fix_checksums(CodecInput& input) {
  const auto offset = [&](std::size_t row) {
    std::uint32_t value = 0;
    std::memcpy(&value, &input.index[8 * row], sizeof value);
    return std::min<std::size_t>(value, input.payload.size());
  };
  const std::size_t rows = input.index.size() / 8;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t begin = offset(row);
    const std::size_t end = row + 1 < rows ? offset(row + 1) : input.payload.size();
    const std::span<const std::byte> tile(input.payload.data() + begin,
                                          end > begin ? end - begin : 0);
    const auto sum = static_cast<std::uint32_t>(io::xxh3(tile));
    std::memcpy(&input.index[8 * row + 4], &sum, sizeof sum);
  }
  if (input.info.size() < 8) return;
  std::vector<std::byte> all(input.info.begin(), input.info.end() - 8);
  all.insert(all.end(), input.index.begin(), input.index.end());
  const std::uint64_t sum = io::xxh3(all);
  std::memcpy(&input.info[input.info.size() - 8], &sum, sizeof sum);
}

/// False when the data are too short for what their lengths say.
inline bool read_input(std::span<const std::uint8_t> data, CodecInput& input) {
  if (data.size() < kHeader) return false;
  const std::size_t info = u16_at(data, 1);
  const std::size_t index = u16_at(data, 3);
  if (data.size() < kHeader + info + index) return false;
  input.info = copy_of(data.subspan(kHeader, info));
  input.index = copy_of(data.subspan(kHeader + info, index));
  input.payload = copy_of(data.subspan(kHeader + info + index));
  if ((data[0] & kFixChecksums) != 0) fix_checksums(input);
  return true;
}

}  // namespace pare::fuzz
