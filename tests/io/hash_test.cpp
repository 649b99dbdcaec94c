// Digests against published vectors.
#include "io/hash.h"

#include <gtest/gtest.h>

namespace pare::io {
namespace {

TEST(Sha256, PublishedVectors) {  // FIPS 180-2, appendix B
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Xxh3, PublishedVectors) {  // XXH3_64bits of the empty input with seed 0, xxHash 0.8
  EXPECT_EQ(xxh3({}), 0x2D06800538D394C2ULL);
  const std::string_view text = "abc";
  EXPECT_EQ(xxh3(std::as_bytes(std::span(text.data(), text.size()))), 0x78AF5F94892F3950ULL);
}

}  // namespace
}  // namespace pare::io
