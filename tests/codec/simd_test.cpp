// Every variant of the codec's kernels against the scalar ones: the same bytes, the same verdict
// about corrupt input, and nothing written outside.
#include "codec/kernel_choice.h"
#include "codec/quiet_chunks.h"
#include "codec/rans_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace pare::codec::detail {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint8_t kCanary = 0xA5;
constexpr std::size_t kGuard = 256;

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

Bytes with_slack(Bytes bytes) {
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
void fill_freqs(RansTable& table, bool escapes, Random& random) {
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

RansTable random_table(bool escapes, Random& random) {
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

class SimdKernels : public testing::TestWithParam<NamedKernels> {
 protected:
  const CodecKernels& simd() const { return *GetParam().kernels; }
  const CodecKernels& scalar() const { return kScalarKernels; }
};

constexpr std::size_t kChunkCounts[] = {1, 2, 3, 4, 17, 130};

TEST_P(SimdKernels, EncodeLikeTheScalarOnes) {
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

TEST_P(SimdKernels, DividesEveryStateByEveryFrequency) {
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

TEST_P(SimdKernels, EscapeWithoutRoomDoesNotTrap) {
  Random random(3);
  const RansTable table = random_table(false, random);
  const Bytes symbols = random.bytes(kChunk * 9);
  EXPECT_EQ(encode(simd(), table, symbols).escapes, encode(scalar(), table, symbols).escapes);
}

TEST_P(SimdKernels, DecodeOneToFourTiles) {
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

TEST_P(SimdKernels, SameVerdictOnDamage) {
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
TEST_P(SimdKernels, NoiseStaysInside) {
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

TEST_P(SimdKernels, Escapes) {
  Random random(7);
  for (std::size_t count = 0; count < 300; ++count) {
    const RansTable table = random_table(true, random);
    DecodeTable expanded;
    expand(table, expanded);
    Bytes codes = random.bytes(count);
    for (std::uint8_t& c : codes)
      if (random.chance(0.7)) c = static_cast<std::uint8_t>(c % 20);
    const Bytes padded = with_slack(codes);

    const auto pack = [&](const CodecKernels& kernels) {
      if (table.escape_form == 0) return codes;
      Guarded section(4 * count + kSlack);
      const std::size_t bytes =
          kernels.pack_escapes(table.escape_form, padded.data(), count, section.data());
      EXPECT_TRUE(section.intact());
      return Bytes(section.data(), section.data() + bytes);
    };
    Bytes section = pack(scalar());
    ASSERT_EQ(pack(simd()), section) << count;

    const auto unpack = [&](const CodecKernels& kernels) {
      Guarded out(count + kSlack);
      const Bytes input = with_slack(section);
      const bool good =
          kernels.expand_escapes(&expanded, input.data(), section.size(), count, out.data());
      EXPECT_TRUE(out.intact());
      return good ? Bytes(out.data(), out.data() + count) : Bytes{1, 2, 3};
    };
    ASSERT_EQ(unpack(simd()), unpack(scalar())) << count << " form " << table.escape_form;
    if (table.escape_form == 0 || section.empty()) continue;
    section[random.below(section.size())] = random.byte();  // mostly another number of extras
    ASSERT_EQ(unpack(simd()), unpack(scalar())) << count << " form " << table.escape_form;
  }
}

TEST_P(SimdKernels, FastTier) {
  Random random(8);
  for (int round = 0; round < 200; ++round) {
    const std::size_t blocks = random.below(20);
    const std::uint8_t base = random.byte();
    Bytes symbols(128 * blocks);
    const double outliers = round % 10 == 0 ? 0.9 : 0.05;
    for (std::uint8_t& s : symbols)
      s = random.chance(outliers) ? random.byte()
                                  : static_cast<std::uint8_t>(base + random.below(17) + 248);
    const auto coded = [&](const CodecKernels& kernels) {
      Guarded codes(64 * blocks);
      Guarded escapes(128 * blocks + kSlack);
      const std::size_t n =
          kernels.encode_nibbles(symbols.data(), blocks, base, codes.data(), escapes.data());
      EXPECT_TRUE(codes.intact() && escapes.intact());
      return std::pair(codes.value(), Bytes(escapes.data(), escapes.data() + n));
    };
    auto [codes, escapes] = coded(scalar());
    ASSERT_EQ(coded(simd()), std::pair(codes, escapes));

    const auto decoded = [&](const CodecKernels& kernels) {
      Guarded out(128 * blocks);
      const Bytes input = with_slack(escapes);
      const bool good = kernels.decode_nibbles(codes.data(), blocks, base, input.data(),
                                               escapes.size(), out.data());
      EXPECT_TRUE(out.intact());
      return good ? out.value() : Bytes{1, 2, 3};
    };
    ASSERT_EQ(decoded(simd()), symbols);
    if (blocks > 0 && round % 2 == 0) codes[random.below(codes.size())] = random.byte();
    if (round % 3 == 0) escapes.resize(random.below(escapes.size() + 1));
    ASSERT_EQ(decoded(simd()), decoded(scalar()));
  }
}

TEST_P(SimdKernels, Transforms) {
  Random random(9);
  for (std::size_t count = 0; count < 300; ++count) {
    for (const int size : {2, 4}) {
      const auto width = static_cast<std::size_t>(size);
      const Bytes in = random.bytes(width * count);
      const auto split = [&](const CodecKernels& kernels) {
        Guarded symbols(count);
        Guarded low((width - 1) * count);
        kernels.split_floats(in.data(), count, size, symbols.data(), low.data());
        EXPECT_TRUE(symbols.intact() && low.intact());
        return std::pair(symbols.value(), low.value());
      };
      const auto [symbols, low] = split(scalar());
      ASSERT_EQ(split(simd()), std::pair(symbols, low)) << count << " of " << size;
      Guarded out(width * count);
      simd().merge_floats(symbols.data(), low.data(), count, size, out.data());
      ASSERT_EQ(out.value(), in) << count << " of " << size;
      ASSERT_TRUE(out.intact());
    }
    const Bytes in = random.bytes(count);
    const auto split = [&](const CodecKernels& kernels) {
      Guarded symbols(2 * count);
      kernels.split_nibbles(in.data(), count, symbols.data());
      EXPECT_TRUE(symbols.intact());
      return symbols.value();
    };
    ASSERT_EQ(split(simd()), split(scalar())) << count;
    const Bytes noise = random.bytes(2 * count);  // only the low four bits count
    const auto merge = [&](const CodecKernels& kernels) {
      Guarded out(count);
      kernels.merge_nibbles(noise.data(), count, out.data());
      EXPECT_TRUE(out.intact());
      return out.value();
    };
    ASSERT_EQ(merge(simd()), merge(scalar())) << count;
  }
}

std::vector<NamedKernels> variants() {
  std::vector<NamedKernels> all = available_kernels();
  all.erase(all.begin());  // the scalar ones
  return all;
}

INSTANTIATE_TEST_SUITE_P(Codec, SimdKernels, testing::ValuesIn(variants()),
                         [](const auto& entry) { return std::string(entry.param.name); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SimdKernels);

}  // namespace
}  // namespace pare::codec::detail
