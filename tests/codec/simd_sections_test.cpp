// Every variant of what lies beside the rANS coder against the scalar one: escape sections, the
// fast tier, and the transforms of floats and nibbles.
#include "codec/kernel_test_support.h"

namespace pare::codec::detail {
namespace {

class SimdSections : public SimdKernels {};

TEST_P(SimdSections, Escapes) {
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

TEST_P(SimdSections, FastTier) {
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

TEST_P(SimdSections, Transforms) {
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

INSTANTIATE_TEST_SUITE_P(Codec, SimdSections, testing::ValuesIn(simd_variants()),
                         [](const auto& entry) { return std::string(entry.param.name); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SimdSections);

}  // namespace
}  // namespace pare::codec::detail
