// Symbols of a chunk to indices: what the scalar kernels and the choice of the states share.
#pragma once

#include "codec/rans/rans_kernels.h"

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {

inline std::uint8_t up_to_escape(std::uint8_t u) {
  return u < kPairEscape ? u : static_cast<std::uint8_t>(kPairEscape);
}

/// How many chunks at the end of a tile lie in the states as they are.
inline std::size_t seed_chunks(int escape, std::size_t chunks) {
  return escape < kSeedPairs && chunks > 1 ? 2 : 1;
}

/// The values u of 64 symbols and their 64 (pair: 32) indices.
inline void index_chunk(const EncodeTable& t, const std::uint8_t* in, std::uint8_t* u,
                        std::uint8_t* index) {
  for (int j = 0; j < kChunk; ++j)
    u[j] = static_cast<std::uint8_t>(in[j] - t.base);
  if (t.pair != 0) {
    for (int j = 0; j < 32; ++j) {
      index[j] = t.pair_index[up_to_escape(u[j]) | up_to_escape(u[j + 32]) << 3];
    }
    return;
  }
  for (int j = 0; j < kChunk; ++j) {
    const int hi = u[j] >> t.shift;
    index[j] = static_cast<std::uint8_t>(hi < t.escape ? hi : t.escape);
  }
}

}  // namespace pare::codec::detail
