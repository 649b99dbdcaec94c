#include "text/bpe/sentencepiece_model.h"
#include "text/support.h"

#include <gtest/gtest.h>

#include <cstring>

namespace pare::text {
namespace {

using testing::contains;
using testing::error_of;
using testing::TempFolder;
using Ids = std::vector<TokenId>;

std::string golden_model() {
  return testing::read_all(
      testing::source_path("tests/golden/tokenizers/llama-sentencepiece/tokenizer.model"));
}

TEST(SentencePiece, ConfigDecidesAboutBosAndEos) {
  const TempFolder folder;
  folder.write("tokenizer.model", golden_model());
  const Ids plain = open_tokenizer(folder.path())->encode_plain("Hello");
  const auto with = [&](TokenId before, const Ids& ids, TokenId after) {
    Ids all = ids;
    if (before >= 0) all.insert(all.begin(), before);
    if (after >= 0) all.push_back(after);
    return all;
  };
  EXPECT_EQ(open_tokenizer(folder.path())->encode("Hello"), with(1, plain, -1));  // LLaMA's rule
  EXPECT_EQ(open_tokenizer(folder.path())->encode(""), (Ids{1}));
  folder.write(
      "tokenizer_config.json",
      R"({"tokenizer_class":"LlamaTokenizer","add_bos_token":false,"add_eos_token":true})");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("Hello"), with(-1, plain, 2));
  folder.write("tokenizer_config.json", R"({"tokenizer_class":"T5Tokenizer"})");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("Hello"), plain);
}

TEST(SentencePiece, TokensBehindTheModelAreCutOut) {
  const TempFolder folder;
  folder.write("tokenizer.model", golden_model());
  const auto bare = open_tokenizer(folder.path());
  const auto first = static_cast<TokenId>(bare->vocab_size());
  folder.write("tokenizer_config.json",
               R"({"tokenizer_class":"LlamaTokenizer","eos_token":"<|end|>","added_tokens_decoder":{
                   "1":{"content":"<s>","special":true},)" +
                   std::string("\"") + std::to_string(first) +
                   R"(":{"content":"<|end|>","special":true},")" + std::to_string(first + 1) +
                   R"(":{"content":"<tool>","special":false}}})");
  const auto tokenizer = open_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->vocab_size(), first + 2);
  EXPECT_EQ(tokenizer->eos_id(), first);
  Ids expected = bare->encode("a");
  expected.push_back(first);
  expected.push_back(first + 1);
  const Ids rest = bare->encode_plain("<s>");  // the model's own controls are spelt out
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(tokenizer->encode("a<|end|><tool><s>"), expected);
  EXPECT_EQ(tokenizer->decode(expected), "a<tool><s>");
  EXPECT_EQ(tokenizer->piece(first + 1), "<tool>");
}

TEST(SentencePiece, EveryCutOfTheFileIsAnError) {
  const std::string whole = golden_model();
  check_sentencepiece_model(whole);
  const TempFolder folder;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(error_of([&] { check_sentencepiece_model(whole.substr(0, size)); }).code(),
              ErrorCode::bad_tokenizer)
        << size;
  }
  for (std::size_t size = 0; size < whole.size(); size += 101) {
    folder.write("tokenizer.model", whole.substr(0, size));
    EXPECT_EQ(error_of([&] { open_tokenizer(folder.path()); }).code(), ErrorCode::bad_tokenizer)
        << size;
  }
}

TEST(SentencePiece, FlippedBytesGiveAnErrorOrATokenizer) {
  const std::string whole = golden_model();
  const TempFolder folder;
  int opened = 0;
  for (std::size_t at = 0; at < whole.size(); at += 41) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    folder.write("tokenizer.model", flipped);
    try {
      opened += open_tokenizer(folder.path())->encode("Hello w\u00f6rld").empty() ? 0 : 1;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_tokenizer) << error.what();
    }
  }
  EXPECT_GT(opened, 0);
}

// A model of one piece whose character map is `map`.
std::string with_map(const std::string& map) {
  const auto field = [](int number, const std::string& bytes) {
    std::string out(1, static_cast<char>(number << 3 | 2));
    for (std::size_t n = bytes.size();; n >>= 7) {
      out += static_cast<char>((n & 0x7F) | (n > 0x7F ? 0x80 : 0));
      if (n <= 0x7F) break;
    }
    return out + bytes;
  };
  return field(1, field(1, "a")) + field(2, "") + field(3, field(2, map));
}

std::string map_of(std::vector<std::uint32_t> units, const std::string& texts) {
  units.insert(units.begin(), static_cast<std::uint32_t>(units.size() * 4));
  std::string bytes(units.size() * 4, '\0');
  std::memcpy(bytes.data(), units.data(), bytes.size());
  return bytes + texts;
}

TEST(SentencePieceModel, CharacterMapsMustStayInsideThemselves) {
  std::vector<std::uint32_t> units(256, 0);
  const std::string texts("x\0", 2);
  check_sentencepiece_model(with_map(map_of(units, texts)));
  units[7] = 0x80000001U;  // a value inside the texts
  check_sentencepiece_model(with_map(map_of(units, texts)));
  const auto refused = [&](const std::string& map, std::string_view why) {
    const Error error = error_of([&] { check_sentencepiece_model(with_map(map)); });
    EXPECT_EQ(error.code(), ErrorCode::bad_tokenizer);
    EXPECT_TRUE(contains(error.detail(), why)) << error.detail();
  };
  units[7] = 0x80000002U;
  refused(map_of(units, texts), "behind its text");
  units[7] = 1U << 18;  // offset 256: the block after the last
  refused(map_of(units, texts), "outside itself");
  units[7] = 0;
  refused(map_of(units, "x"), "last zero");
  refused(map_of(units, ""), "impossible size");
  refused("abc", "less than 5");
}

}  // namespace
}  // namespace pare::text
