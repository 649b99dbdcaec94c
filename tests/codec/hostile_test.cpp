// Damaged and forged streams: always an error or some bytes, never a crash. Run under the
// sanitizers too; the buffers here end where the data ends, so that reading further is seen.
#include "codec/encoded.h"
#include "codec/stream/little_endian.h"
#include "codec/stream/stream_info.h"
#include "io/hash.h"
#include "pare/codec.h"
#include "pare/error.h"
#include "support/expect_error.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <new>
#include <random>
#include <string>
#include <vector>

namespace pare {
namespace {

using codec::Content;
using codec::kTileBytes;
using codec::Tier;
using test::Bytes;
using test::Encoded;

// Copies without spare capacity: a vector that grew may own more than it shows.
Bytes exact(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

Encoded small_encoded() {
  const Bytes codes = test::sparse_codes(test::WeightSource::t4, 0.05, true, 1, 1500, 3);
  return test::encode(test::view_of(codes));
}

bool refuses(const Bytes& info, const Bytes& index, const Bytes& payload) {
  try {
    const codec::TensorDecoder decoder(exact(info), exact(index), payload);
    Bytes out(decoder.bytes());
    decoder.decode(Context(1), out);
  } catch (const Error& error) {
    return error.code() == ErrorCode::corrupt_stream ||
           error.code() == ErrorCode::feature_not_supported;
  }
  return false;
}

TEST(CodecHostile, EveryTruncation) {
  const Encoded good = small_encoded();
  ASSERT_TRUE(good.worthwhile);
  ASSERT_FALSE(refuses(good.info, good.index, good.payload));
  const auto cut = [](const Bytes& bytes, std::size_t size) {
    return Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  };
  for (std::size_t size = 0; size < good.info.size(); ++size) {
    EXPECT_TRUE(refuses(cut(good.info, size), good.index, good.payload)) << "info " << size;
  }
  for (std::size_t size = 0; size < good.index.size(); ++size) {
    EXPECT_TRUE(refuses(good.info, cut(good.index, size), good.payload)) << "index " << size;
  }
  for (std::size_t size = 0; size < good.payload.size(); ++size) {
    EXPECT_TRUE(refuses(good.info, good.index, cut(good.payload, size))) << "payload " << size;
  }
}

TEST(CodecHostile, EveryBitFlip) {
  const Encoded good = small_encoded();
  const auto flipped = [](Bytes bytes, std::size_t bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    return bytes;
  };
  for (std::size_t bit = 0; bit < 8 * good.info.size(); ++bit) {
    EXPECT_TRUE(refuses(flipped(good.info, bit), good.index, good.payload)) << "info " << bit;
  }
  for (std::size_t bit = 0; bit < 8 * good.index.size(); ++bit) {
    EXPECT_TRUE(refuses(good.info, flipped(good.index, bit), good.payload)) << "index " << bit;
  }
  for (std::size_t bit = 0; bit < 8 * good.payload.size(); ++bit) {
    EXPECT_TRUE(refuses(good.info, good.index, flipped(good.payload, bit))) << "payload " << bit;
  }
}

TEST(CodecHostile, NamesTheTile) {
  const Bytes codes = test::plain_codes(test::WeightSource::gauss, 3, 5 * kTileBytes, 4);
  Encoded encoded = test::encode(test::view_of(codes));
  const std::uint64_t third = codec::detail::load(std::span(encoded.index).subspan(24, 4));
  encoded.payload[third + 100] ^= std::byte{1};
  const codec::TensorDecoder decoder = encoded.decoder();
  Bytes out(codes.size());
  const std::string text = PARE_ERROR_TEXT(corrupt_stream, decoder.decode(Context(2), out));
  EXPECT_NE(text.find("tile 3:"), std::string::npos) << text;
  codec::Scratch scratch;
  Bytes tile(kTileBytes);
  decoder.decode_tiles(2, 1, tile, scratch);  // its neighbours are sound
  decoder.decode_tiles(4, 1, tile, scratch);
  EXPECT_TRUE(std::ranges::equal(tile, std::span(codes).last(kTileBytes)));
}

// A stream whose parts can be changed at will; every checksum but the content's comes out right.
struct Forgery {
  codec::detail::StreamInfo info;
  std::vector<Bytes> tiles;

  explicit Forgery(const Encoded& good) : info(codec::detail::parse_info(good.info, good.index)) {
    for (std::size_t row = 0; row < good.index.size(); row += 8) {
      const auto offset = [&](std::size_t at) {
        return at < good.index.size() ? static_cast<std::ptrdiff_t>(codec::detail::load(
                                            std::span(good.index).subspan(at, 4)))
                                      : static_cast<std::ptrdiff_t>(good.payload.size());
      };
      tiles.emplace_back(good.payload.begin() + offset(row),
                         good.payload.begin() + offset(row + 8));
    }
  }

  Encoded sealed() const {
    Encoded out;
    for (const Bytes& tile : tiles) {
      codec::detail::append(out.index, out.payload.size(), 4);
      codec::detail::append(out.index, io::xxh3(tile) & 0xFFFFFFFFU, 4);
      out.payload.insert(out.payload.end(), tile.begin(), tile.end());
    }
    codec::detail::StreamInfo described = info;
    described.payload_bytes = out.payload.size();
    out.info = codec::detail::write_info(described, out.index);
    return out;
  }
};

// Decodes every tile alone and all together; how many tiles were refused.
std::size_t try_all(const Encoded& forged) {
  const Bytes payload = exact(forged.payload);
  std::size_t refused = 0;
  try {
    const codec::TensorDecoder decoder(forged.info, forged.index, payload);
    codec::Scratch scratch;
    for (std::int64_t tile = 0; tile < decoder.tiles(); ++tile) {
      Bytes out(decoder.tile_bytes(tile));
      try {
        decoder.decode_tiles(tile, 1, out, scratch);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::corrupt_stream) << error.what();
        ++refused;
      }
    }
    Bytes out(decoder.bytes());
    decoder.decode(Context(1), out);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::corrupt_stream) << error.what();
    ++refused;
  }
  return refused;
}

struct Sample {
  const char* what;
  Encoded encoded;
};

std::vector<Sample> samples() {
  const auto gauss = test::WeightSource::gauss;
  const std::size_t size = 2 * kTileBytes + 1000;
  std::vector<Sample> out;
  const auto add = [&](const char* what, const Bytes& codes, DType dtype = DType::i8,
                       Tier tier = Tier::dense, Content content = Content::elements) {
    out.push_back({what, test::encode(test::view_of(codes, dtype), tier, content)});
  };
  add("pairs", test::plain_codes(gauss, 1.3, size, 1));
  add("single", test::plain_codes(gauss, 3.5, size, 2));
  add("planes", test::plain_codes(gauss, 6.5, size, 3));
  add("escapes", test::sparse_codes(test::WeightSource::t4, 0.1, true, 1, size, 4));
  add("floats", test::gaussian_floats(DType::bf16, size / 2, 5), DType::bf16);
  add("wide floats", test::gaussian_floats(DType::f32, size / 4, 6), DType::f32);
  add("nibbles", test::packed_codes(size, 7), DType::u8, Tier::dense, Content::packed_nibbles);
  add("fast", test::sparse_codes(gauss, 0.02, false, 1, size, 8), DType::i8, Tier::fast);
  return out;
}

TEST(CodecHostile, ForgedTileBytes) {
  for (const Sample& sample : samples()) {
    std::mt19937 engine(11);
    std::size_t refused = 0;
    for (int round = 0; round < 200; ++round) {
      Forgery forgery(sample.encoded);
      Bytes& tile = forgery.tiles[engine() % forgery.tiles.size()];
      // Mostly in the header, where lengths are.
      const std::size_t range =
          round % 3 == 0 ? tile.size() : std::min<std::size_t>(tile.size(), 8);
      for (int change = 0; change < 1 + round % 4; ++change) {
        tile[engine() % range] = static_cast<std::byte>(engine());
      }
      refused += try_all(forgery.sealed());
    }
    EXPECT_GE(refused, 150U) << sample.what;
  }
}

TEST(CodecHostile, ForgedTileLengths) {
  for (const Sample& sample : samples()) {
    std::mt19937 engine(12);
    for (int round = 0; round < 60; ++round) {
      Forgery forgery(sample.encoded);
      Bytes& tile = forgery.tiles[engine() % forgery.tiles.size()];
      const std::size_t size =
          round < 30 ? static_cast<std::size_t>(round) : engine() % tile.size();
      tile.resize(size);
      EXPECT_GE(try_all(forgery.sealed()), 1U) << sample.what << " " << size;
    }
    Forgery swapped(sample.encoded);
    std::swap(swapped.tiles.front(), swapped.tiles.back());  // of another decoded size
    try_all(swapped.sealed());
    for (Bytes& tile : swapped.tiles)
      tile.assign(kTileBytes + 2, std::byte{2});
    EXPECT_GE(try_all(swapped.sealed()), 1U);
  }
}

// Sound tables of every kind under tiles that were made with another one.
TEST(CodecHostile, ForgedTables) {
  for (const Sample& sample : samples()) {
    std::mt19937 engine(13);
    for (int round = 0; round < 120; ++round) {
      Forgery forgery(sample.encoded);
      codec::detail::RansTable table;
      table.pair = engine() % 2 == 0;
      table.shift = table.pair ? 0 : static_cast<int>(engine() % 4);
      table.escape_form = static_cast<int>(engine() % 3);
      table.base = static_cast<std::uint8_t>(engine());
      table.n =
          1 + static_cast<int>(engine() % static_cast<unsigned>(std::min(63, 256 >> table.shift)));
      for (int i = 0; i < table.n; ++i)
        table.pairs[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i);
      table.freqs.fill(1);
      for (int left = 255 - table.n; left > 0; --left) {
        auto& freq = table.freqs[engine() % static_cast<unsigned>(table.n + 1)];
        left += freq == 255 ? 1 : 0;
        freq = freq == 255 ? freq : static_cast<std::uint8_t>(freq + 1);
      }
      forgery.info.tables.assign(forgery.info.tables.size(), table);
      try_all(forgery.sealed());
    }
    Forgery none(sample.encoded);
    none.info.tables.clear();
    try_all(none.sealed());
  }
}

// The kernels' own limits: noise for states, renorm bytes and escapes, with lengths that add up.
TEST(CodecHostile, NoiseWithSoundLengths) {
  for (const Sample& sample : samples()) {
    for (unsigned seed = 0; seed < 40; ++seed) {
      Forgery forgery(sample.encoded);
      for (Bytes& tile : forgery.tiles) {
        const Bytes noise = test::random_bytes(tile.size(), seed);
        std::copy(noise.begin() + 6, noise.end(), tile.begin() + 6);
        for (std::size_t i = 7; i < std::min<std::size_t>(tile.size(), 134); i += 2) {
          tile[i] |= std::byte{1};  // states of at least 256
        }
      }
      try_all(forgery.sealed());
    }
  }
}

// Bytes that end where their page ends, and the next page must not be touched: what a sanitizer
// does not see of a vector load, the memory management unit does.
class AtPageEnd {
 public:
  explicit AtPageEnd(const Bytes& bytes) : size_(bytes.size()) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    room_ = (size_ + page - 1) / page * page;
    mapped_ =
        ::mmap(nullptr, room_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) throw std::bad_alloc();
    std::byte* const end = static_cast<std::byte*>(mapped_) + room_;
    EXPECT_EQ(::mprotect(end, page, PROT_NONE), 0);
    std::copy(bytes.begin(), bytes.end(), end - size_);
    room_ += page;
    begin_ = end - size_;
  }
  ~AtPageEnd() { ::munmap(mapped_, room_); }
  AtPageEnd(const AtPageEnd&) = delete;
  AtPageEnd& operator=(const AtPageEnd&) = delete;
  std::span<const std::byte> bytes() const { return {begin_, size_}; }

 private:
  std::size_t size_;
  std::size_t room_ = 0;
  void* mapped_ = nullptr;
  const std::byte* begin_ = nullptr;
};

TEST(CodecHostile, NothingBehindThePayloadIsRead) {
  for (const Sample& sample : samples()) {
    const AtPageEnd payload(sample.encoded.payload);
    const codec::TensorDecoder decoder(sample.encoded.info, sample.encoded.index, payload.bytes());
    Bytes out(decoder.bytes());
    decoder.decode(Context(1), out);
    EXPECT_EQ(io::xxh3(out), decoder.content_hash()) << sample.what;
  }
}

// A tile that promises no renormalisation bytes and would take thousands, with just enough behind
// it that it is not copied: its decoding must stop before the page ends.
TEST(CodecHostile, MissingRenormalisationBytes) {
  Forgery forgery(samples()[1].encoded);
  forgery.tiles.resize(2);
  forgery.info.shape = Shape{static_cast<std::int64_t>(kTileBytes + 300)};
  Bytes tile(6 + 128, std::byte{1});
  std::fill_n(tile.begin(), 6, std::byte{0});
  tile[0] = std::byte{2};
  forgery.tiles = {tile, Bytes(301, std::byte{0})};
  const Encoded forged = forgery.sealed();
  const AtPageEnd payload(forged.payload);
  const codec::TensorDecoder decoder(forged.info, forged.index, payload.bytes());
  codec::Scratch scratch;
  Bytes out(kTileBytes);
  PARE_ERROR_TEXT(corrupt_stream, decoder.decode_tiles(0, 1, out, scratch));
}

TEST(CodecHostile, TilesLargerThanRaw) {
  Forgery forgery(samples()[1].encoded);
  forgery.tiles.back().assign(4 * kTileBytes, std::byte{2});
  const Encoded forged = forgery.sealed();
  const std::string text = PARE_ERROR_TEXT(corrupt_stream, forged.decoder());
  EXPECT_NE(text.find("tile 2: the index gives it a length"), std::string::npos) << text;
}

std::string info_error(Forgery forgery, const std::function<void(Forgery&)>& change) {
  change(forgery);
  const Encoded forged = forgery.sealed();
  return PARE_ERROR_TEXT(corrupt_stream, forged.decoder());
}

TEST(CodecHostile, ForgedDescriptions) {
  const Forgery good(samples()[1].encoded);
  info_error(good, [](Forgery& f) { f.info.shape = Shape{7}; });
  info_error(good, [](Forgery& f) { f.info.shape = Shape{std::int64_t{1} << 62, 0}; });
  info_error(good, [](Forgery& f) { f.info.shape = Shape(std::vector<std::int64_t>(9, 1)); });
  info_error(good, [](Forgery& f) { f.info.transform = static_cast<codec::detail::Transform>(3); });
  info_error(good, [](Forgery& f) { f.info.transform = codec::detail::Transform::floats; });
  info_error(good, [](Forgery& f) { f.info.tiles_per_table = 0; });
  info_error(good, [](Forgery& f) { f.info.tiles_per_table = 3; });
  info_error(good, [](Forgery& f) { f.info.tables.push_back(f.info.tables[0]); });
  info_error(good, [](Forgery& f) { f.info.tables[0].freqs[0] ^= 1U; });
  info_error(good, [](Forgery& f) { f.tiles.pop_back(); });
}

// Fields that write_info always sets right, changed in place and sealed again.
TEST(CodecHostile, ForgedFields) {
  const Encoded good = samples()[1].encoded;
  const auto resealed = [&](std::size_t at, int value) {
    Encoded forged = good;
    forged.info[at] = static_cast<std::byte>(value);
    forged.info.resize(forged.info.size() - 8);
    Bytes both = forged.info;
    both.insert(both.end(), good.index.begin(), good.index.end());
    codec::detail::append(forged.info, io::xxh3(both), 8);
    return PARE_ERROR_TEXT(corrupt_stream, forged.decoder());
  };
  resealed(0, 'p');    // the magic
  resealed(7, 2);      // bytes of an element
  resealed(8, 'Q');    // the name of the type
  resealed(15, 'x');   // its padding
  resealed(16, 200);   // the rank
  resealed(17, 1);     // zeros
  resealed(30, 1);     // a size
  resealed(31, 0xFF);  // a size that is negative
  resealed(35, 1);     // the payload's length
  resealed(41, 0x40);  // bytes of a tile
  resealed(44, 9);     // number of tiles
  resealed(48, 9);     // number of tables
  resealed(56, 3);     // length of a table
}

void reseal(Encoded& forged) {
  Bytes both = forged.info;
  both.insert(both.end(), forged.index.begin(), forged.index.end());
  codec::detail::append(forged.info, io::xxh3(both), 8);
}

TEST(CodecHostile, BytesLeftOverInTheDescription) {
  Encoded forged = samples()[1].encoded;
  forged.info.resize(forged.info.size() - 8);
  forged.info.push_back(std::byte{0});
  reseal(forged);
  PARE_ERROR_TEXT(corrupt_stream, forged.decoder());
}

// [2^48, 67536] has 2^64 bytes and more, which is not the 0 that it wraps around to.
TEST(CodecHostile, ShapesThatOverflow) {
  Forgery forgery(samples()[1].encoded);
  forgery.info.shape = Shape{1, forgery.info.shape[0]};
  Encoded forged = forgery.sealed();
  ASSERT_EQ(forged.info[24], std::byte{1});
  forged.info[24] = std::byte{0};
  forged.info[30] = std::byte{1};
  forged.info.resize(forged.info.size() - 8);
  reseal(forged);
  const std::string text = PARE_ERROR_TEXT(corrupt_stream, forged.decoder());
  EXPECT_NE(text.find("too large"), std::string::npos) << text;
}

TEST(CodecHostile, IndexThatCannotBe) {
  const Encoded good = samples()[1].encoded;
  const auto with_offset = [&](std::size_t row, std::uint64_t offset) {
    Forgery forgery(good);
    Encoded forged = forgery.sealed();
    Bytes bytes;
    codec::detail::append(bytes, offset, 4);
    std::copy(bytes.begin(), bytes.end(),
              forged.index.begin() + static_cast<std::ptrdiff_t>(8 * row));
    codec::detail::StreamInfo info = forgery.info;
    info.payload_bytes = forged.payload.size();
    forged.info = codec::detail::write_info(info, forged.index);
    return PARE_ERROR_TEXT(corrupt_stream, forged.decoder());
  };
  with_offset(0, 1);
  with_offset(1, 0);
  with_offset(1, 1);
  with_offset(1, kTileBytes + 2);
  with_offset(1, 0xFFFFFFFFU);
  with_offset(2, good.payload.size());
}

TEST(CodecHostile, WrongRequestsAreOurMistake) {
  const Encoded good = small_encoded();
  const codec::TensorDecoder decoder = good.decoder();
  codec::Scratch scratch;
  Bytes out(decoder.bytes());
  const auto tiles = [&](std::int64_t first, std::int64_t count, std::size_t size) {
    PARE_ERROR_TEXT(internal,
                    decoder.decode_tiles(first, count, std::span(out).first(size), scratch));
  };
  tiles(-1, 1, 1500);
  tiles(0, 2, 1500);
  tiles(1, 1, 0);
  tiles(0, -1, 0);
  tiles(0, 1, 1499);
  PARE_ERROR_TEXT(internal, decoder.decode(Context(1), std::span(out).first(1499)));
}

}  // namespace
}  // namespace pare
