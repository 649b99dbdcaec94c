// Every variant of the rANS coder against the scalar one: the same bytes, the same verdict about
// corrupt input, and nothing written outside.
#include "codec/kernel_test_support.h"
#include "codec/stream/quiet_chunks.h"

namespace pare::codec::detail {
namespace {

class SimdRans : public SimdKernels {};

/// Symbols that the table mostly lists; with `escapes`, some that it does not.
Bytes random_symbols(const RansTable& table, std::size_t chunks, bool escapes, Random& random) {
  Bytes out(kChunk * chunks);
  const double outliers = escapes ? (random.chance(0.2) ? 0.9 : 0.05) : 0.0;
  const std::size_t most = static_cast<std::size_t>(table.n) - 1;
  const auto index = [&] {
    return std::min(most, static_cast<std::size_t>(random.geometric(0.3)));
  };
  const auto put = [&](std::size_t at, std::size_t u) {
    out[at] = random.chance(outliers) ? random.byte() : static_cast<std::uint8_t>(table.base + u);
  };
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!table.pair) {
      put(i, index() << table.shift | random.below(std::size_t{1} << table.shift));
    } else if (i % kChunk < 32) {
      const std::uint8_t pair = table.pairs[index()];
      put(i, pair & 7U);
      put(i + 32, pair >> 3);
    }
  }
  return out;
}

struct Encoded {
  Bytes states, renorm, escapes, planes;
  std::size_t quiet = 0;
  friend bool operator==(const Encoded&, const Encoded&) = default;
};

/// Room for one tile's encoding, and the encoding in it.
struct EncodingRoom {
  std::size_t chunks;
  Guarded states, renorm, escapes, planes;
  RansEncoding tile{};

  EncodingRoom(const RansTable& table, const Bytes& symbols)
      : chunks(symbols.size() / kChunk),
        states(table.pair ? 64 : 128),
        renorm(kChunk * chunks + kSlack),
        escapes(kChunk * chunks + kSlack),
        planes(static_cast<std::size_t>(table.shift) * 8 * chunks) {
    tile.symbols = symbols.data();
    tile.chunks = chunks;
    tile.states = states.data();
    tile.renorm_end = renorm.data() + kChunk * chunks + kSlack;
    tile.escapes = escapes.data();
    tile.planes = planes.data();
  }

  Encoded result(std::size_t seeds) const {
    EXPECT_TRUE(states.intact() && renorm.intact() && escapes.intact() && planes.intact());
    return {states.value(), Bytes(tile.renorm_end - tile.renorm_bytes, tile.renorm_end),
            Bytes(tile.escapes, tile.escapes + tile.escape_count), planes.value(),
            tile.done - seeds};
  }
};

/// One or two tiles with the same number of chunks, in one call.
std::vector<Encoded> encode(const CodecKernels& kernels, const RansTable& table,
                            const std::vector<Bytes>& symbols) {
  EncodeTable expanded;
  expand(table, expanded);
  std::vector<EncodingRoom> rooms;
  rooms.reserve(symbols.size());
  std::vector<RansEncoding> jobs;
  const std::size_t chunks = symbols[0].size() / kChunk;
  const std::size_t seeds = table.n < kSeedPairs && chunks > 1 ? 2 : 1;
  for (const Bytes& one : symbols) {
    rooms.emplace_back(table, one);
    RansEncoding& tile = rooms.back().tile;
    tile.done = seeds + encode_quiet(quiet_table(table, expanded), expanded, one.data(), chunks,
                                     tile.states);
    jobs.push_back(tile);
  }
  kernels.encode_rans(&expanded, jobs.data(), static_cast<int>(jobs.size()), {});
  std::vector<Encoded> out;
  for (std::size_t i = 0; i < rooms.size(); ++i) {
    rooms[i].tile = jobs[i];
    out.push_back(rooms[i].result(seeds));
  }
  return out;
}

Encoded encode(const CodecKernels& kernels, const RansTable& table, const Bytes& symbols) {
  return encode(kernels, table, std::vector<Bytes>{symbols})[0];
}

struct Decoded {
  bool sound = false;
  std::vector<Bytes> symbols;  // compared only when sound
};

Decoded decode(const CodecKernels& kernels, const RansTable& table,
               const std::vector<Encoded>& tiles, std::size_t chunks) {
  DecodeTable expanded;
  expand(table, expanded);
  std::vector<Bytes> renorm;
  std::vector<Bytes> escapes;
  std::vector<Guarded> out;
  std::vector<RansTile> jobs;
  for (const Encoded& tile : tiles) {
    renorm.push_back(with_slack(tile.renorm));
    Bytes values(tile.escapes);
    for (std::uint8_t& c : values) {
      const int half = c / 2;
      const int value = c % 2 == 0 ? expanded.escape_even + half : expanded.escape_odd - half;
      c = static_cast<std::uint8_t>(value & (255 >> table.shift));
    }
    values.resize(std::max(values.size(), kChunk * chunks));  // so much may be read
    escapes.push_back(with_slack(values));
    out.emplace_back(kChunk * chunks);
  }
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    jobs.push_back({tiles[i].states.data(), renorm[i].data(), tiles[i].renorm.size(),
                    escapes[i].data(), tiles[i].escapes.size(), tiles[i].planes.data(),
                    out[i].data(), chunks, tiles[i].quiet});
  }
  Decoded result;
  result.sound = kernels.decode_rans(&expanded, jobs.data(), static_cast<int>(jobs.size()), {}, {});
  for (const Guarded& one : out) {
    EXPECT_TRUE(one.intact());
    result.symbols.push_back(one.value());
  }
  return result;
}

std::string text(const RansTable& table, std::size_t chunks) {
  return "pair " + std::to_string(table.pair) + " shift " + std::to_string(table.shift) + " n " +
         std::to_string(table.n) + " chunks " + std::to_string(chunks);
}

constexpr std::size_t kChunkCounts[] = {1, 2, 3, 4, 17, 130};

TEST_P(SimdRans, EncodeLikeTheScalarOnes) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    const bool escapes = random.chance(0.7);
    const RansTable table = random_table(escapes, random);
    const std::size_t chunks = kChunkCounts[random.below(std::size(kChunkCounts))];
    std::vector<Bytes> symbols = {random_symbols(table, chunks, escapes, random)};
    if (round % 2 == 0) symbols.push_back(random_symbols(table, chunks, escapes, random));
    const std::vector<Encoded> expected = encode(scalar(), table, symbols);
    const std::vector<Encoded> actual = encode(simd(), table, symbols);
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      ASSERT_EQ(actual[i].states, expected[i].states) << text(table, chunks) << " tile " << i;
      ASSERT_EQ(actual[i].renorm, expected[i].renorm) << text(table, chunks) << " tile " << i;
      ASSERT_EQ(actual[i].escapes, expected[i].escapes) << text(table, chunks) << " tile " << i;
      ASSERT_EQ(actual[i].planes, expected[i].planes) << text(table, chunks) << " tile " << i;
    }
  }
}

TEST_P(SimdRans, DividesEveryStateByEveryFrequency) {
  // A table of two indices with frequencies f and 256 - f, long runs of either: the states pass
  // through all that a lane can hold.
  Random random(2);
  for (int freq = 1; freq < 256; ++freq) {
    RansTable table;
    table.base = 3;
    table.n = 2;
    table.freqs[0] = static_cast<std::uint8_t>(freq);
    table.freqs[1] = static_cast<std::uint8_t>(256 - freq);
    Bytes symbols(kChunk * 60);
    for (std::uint8_t& s : symbols)
      s = static_cast<std::uint8_t>(3 + (random.below(256) >= static_cast<std::size_t>(freq)));
    ASSERT_EQ(encode(simd(), table, symbols), encode(scalar(), table, symbols)) << freq;
  }
}

TEST_P(SimdRans, EscapeWithoutRoomDoesNotTrap) {
  Random random(3);
  const RansTable table = random_table(false, random);
  const Bytes symbols = random.bytes(kChunk * 9);
  EXPECT_EQ(encode(simd(), table, symbols).escapes, encode(scalar(), table, symbols).escapes);
}

TEST_P(SimdRans, DecodeOneToFourTiles) {
  Random random(4);
  for (int round = 0; round < 150; ++round) {
    const bool escapes = random.chance(0.7);
    const RansTable table = random_table(escapes, random);
    const std::size_t chunks = kChunkCounts[random.below(std::size(kChunkCounts))];
    std::vector<Bytes> symbols;
    std::vector<Encoded> tiles;
    for (std::size_t i = 0; i < 1 + static_cast<std::size_t>(round % kMostTiles); ++i) {
      symbols.push_back(random_symbols(table, chunks, escapes, random));
      tiles.push_back(encode(scalar(), table, symbols.back()));
    }
    const Decoded decoded = decode(simd(), table, tiles, chunks);
    ASSERT_TRUE(decoded.sound) << text(table, chunks);
    ASSERT_EQ(decoded.symbols, symbols) << text(table, chunks) << " tiles " << tiles.size();
  }
}

/// Damages one thing of a tile. Sizes of states and planes are the caller's to check, so they stay.
void damage(Encoded& tile, Random& random) {
  const auto flip = [&](Bytes& bytes) {
    if (!bytes.empty())
      bytes[random.below(bytes.size())] ^= static_cast<std::uint8_t>(1 + random.below(255));
  };
  switch (random.below(7)) {
    case 0:
      flip(tile.renorm);
      break;
    case 1:
      flip(tile.escapes);
      break;
    case 2:
      tile.renorm.resize(random.below(tile.renorm.size() + 1));
      break;
    case 3:
      tile.escapes.resize(random.below(tile.escapes.size() + 1));
      break;
    case 4:
      tile.renorm.push_back(random.byte());
      break;
    case 5:
      tile.escapes.push_back(random.byte());
      break;
    default: {
      const std::size_t lane = random.below(tile.states.size() / 2);
      tile.states[2 * lane] = random.byte();
      tile.states[2 * lane + 1] = static_cast<std::uint8_t>(1 + random.below(255));
    }
  }
}

TEST_P(SimdRans, SameVerdictOnDamage) {
  Random random(5);
  int sound = 0;
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    const RansTable table = random_table(true, random);
    const std::size_t chunks = kChunkCounts[random.below(std::size(kChunkCounts) - 1)];
    std::vector<Encoded> tiles;
    for (std::size_t i = 0; i < 1 + static_cast<std::size_t>(round % kMostTiles); ++i)
      tiles.push_back(encode(scalar(), table, random_symbols(table, chunks, true, random)));
    damage(tiles[random.below(tiles.size())], random);
    const Decoded expected = decode(scalar(), table, tiles, chunks);
    const Decoded actual = decode(simd(), table, tiles, chunks);
    ASSERT_EQ(actual.sound, expected.sound) << text(table, chunks);
    if (expected.sound) {
      ASSERT_EQ(actual.symbols, expected.symbols) << text(table, chunks);
    }
    ++(expected.sound ? sound : refused);
  }
  EXPECT_GT(sound, 20);  // damaged escapes, or states that find their way back
  EXPECT_GT(refused, 500);
}

/// States that hold no stream at all take as many renorm bytes and escapes as they like.
TEST_P(SimdRans, NoiseStaysInside) {
  Random random(6);
  for (int round = 0; round < 300; ++round) {
    const RansTable table = random_table(true, random);
    const std::size_t chunks = 1 + random.below(40);
    std::vector<Encoded> tiles(1 + static_cast<std::size_t>(round % kMostTiles));
    for (Encoded& tile : tiles) {
      tile.states = random.bytes(table.pair ? 64 : 128);
      for (std::size_t i = 1; i < tile.states.size(); i += 2)
        tile.states[i] |= 1;
      tile.renorm = random.bytes(random.below(600));
      tile.escapes = random.bytes(random.below(100));
      tile.planes = random.bytes(static_cast<std::size_t>(table.shift) * 8 * chunks);
      tile.quiet = chunks > 10 ? random.below(9) : 0;
    }
    EXPECT_EQ(decode(simd(), table, tiles, chunks).sound,
              decode(scalar(), table, tiles, chunks).sound);
  }
}

INSTANTIATE_TEST_SUITE_P(Codec, SimdRans, testing::ValuesIn(simd_variants()),
                         [](const auto& entry) { return std::string(entry.param.name); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SimdRans);

}  // namespace
}  // namespace pare::codec::detail
