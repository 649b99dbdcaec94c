#include "text/json/decoder.h"

#include "text/support.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::component;
using testing::contains;
using testing::error_of;

std::string decoded(std::string_view json, std::vector<std::string> pieces) {
  return component<Decoder>(json).apply(std::move(pieces));
}

TEST(Decoder, ByteLevelJoinsBytesAcrossPieces) {
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"\u0120a", "\u00c3", "\u00a9"}), " a\u00e9");
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"\u00c3"}), "\ufffd");  // half a character
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"a b", "\u0120"}),
            "a b ");  // "a b" is no byte piece
}

TEST(Decoder, LlamaSequence) {
  const char* llama = R"({"type":"Sequence","decoders":[
      {"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
      {"type":"Strip","content":" ","start":1,"stop":0}]})";
  EXPECT_EQ(decoded(llama, {"▁a", "▁", "▁b"}), "a  b");
  EXPECT_EQ(decoded(llama, {"▁▁a"}), " a");  // one space only
  EXPECT_EQ(decoded(llama, {"a", "<0xC3>", "<0xA9>"}), "a\u00e9");
  EXPECT_EQ(decoded(llama, {"<0xE4>", "<0xB8>", "b"}), "\ufffd\ufffdb");
  EXPECT_EQ(decoded(llama, {"<0xZZ>", "<0x0A>"}), "<0xZZ>\n");
  EXPECT_EQ(decoded(llama, {}), "");
}

TEST(Decoder, StripTakesAtMostWhatIsThere) {
  EXPECT_EQ(decoded(R"({"type":"Strip","content":"x","start":9,"stop":9})", {"xxaxx", "xx"}), "a");
  EXPECT_EQ(decoded(R"({"type":"Strip","content":"x","start":1,"stop":1})", {"xxaxx"}), "xax");
}

TEST(Decoder, MetaspaceDropsThePrefixOfTheFirstPiece) {
  EXPECT_EQ(
      decoded(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always"})", {"▁a", "▁b"}),
      "a b");
  EXPECT_EQ(
      decoded(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})", {"▁a", "▁b"}),
      " a b");
}

TEST(Decoder, WithoutOneSpacesStandBetween) {
  EXPECT_EQ(Decoder::spaces_between().apply({"a", "b"}), "a b");
}

TEST(Decoder, UnknownTypesAreNamed) {
  const Error error = error_of([] { component<Decoder>(R"({"type":"CTC"})"); });
  EXPECT_EQ(error.code(), ErrorCode::tokenizer_not_supported);
  EXPECT_TRUE(contains(error.detail(), "CTC"));
}

}  // namespace
}  // namespace pare::text
