#include "text/support.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::contains;
using testing::error_of;
using testing::TempFolder;
using Ids = std::vector<TokenId>;

constexpr const char* kVocab =
    R"({"a":0,"b":1,"Ġ":2,"Ġa":3,"ab":4,"1":5,"11":6,"'":7,"s":8,"'s":9,"S":10})";
constexpr const char* kMerges = "#version: 0.2\r\nĠ a\r\na b\r\n1 1\r\n' s\r\n";
constexpr const char* kQwen2 =
    R"({"tokenizer_class":"Qwen2Tokenizer","bos_token":null,"eos_token":"<|end|>",
  "added_tokens_decoder":{"12":{"content":"<|end|>","special":true,"normalized":false}}})";

void write_pair(const TempFolder& folder, std::string_view merges, std::string_view config) {
  folder.write("vocab.json", kVocab);
  folder.write("merges.txt", merges);
  folder.write("tokenizer_config.json", config);
}

TEST(VocabMerges, Qwen2WithCrlf) {
  const TempFolder folder;
  write_pair(folder, kMerges, kQwen2);
  const auto tokenizer = open_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("ab a"), (Ids{4, 3}));
  EXPECT_EQ(tokenizer->encode("11"), (Ids{5, 5}));  // digits one by one
  EXPECT_EQ(tokenizer->encode("a<|end|>b's"), (Ids{0, 12, 1, 9}));
  EXPECT_EQ(tokenizer->decode(Ids{3, 12, 4}), " aab");
  EXPECT_EQ(tokenizer->vocab_size(), 13);
  EXPECT_EQ(tokenizer->eos_id(), 12);
  EXPECT_EQ(tokenizer->bos_id(), -1);
}

TEST(VocabMerges, Gpt2CutsDifferently) {
  const TempFolder folder;
  write_pair(folder, kMerges, R"({"tokenizer_class":"GPT2Tokenizer"})");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("11"), (Ids{6}));
}

TEST(VocabMerges, WithoutAClassTheModelTypeTells) {
  const TempFolder folder;
  write_pair(folder, kMerges, "{}");
  EXPECT_EQ(error_of([&] { open_tokenizer(folder.path()); }).code(),
            ErrorCode::tokenizer_not_supported);
  folder.write("config.json", R"({"model_type":"qwen2"})");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("11"), (Ids{5, 5}));
}

TEST(VocabMerges, DamageIsPlaced) {
  const TempFolder folder;
  write_pair(folder, "#version: 0.2\nĠ a\nno\n", kQwen2);
  const Error line = error_of([&] { open_tokenizer(folder.path()); });
  EXPECT_EQ(line.code(), ErrorCode::bad_tokenizer);
  EXPECT_TRUE(contains(line.what(), "merges.txt:3")) << line.what();
  write_pair(folder, "a q\n", kQwen2);
  EXPECT_TRUE(contains(error_of([&] { open_tokenizer(folder.path()); }).what(), "merges.txt:1"));
  write_pair(
      folder, kMerges,
      R"({"tokenizer_class":"Qwen2Tokenizer","added_tokens_decoder":{"x":{"content":"a"}}})");
  EXPECT_EQ(error_of([&] { open_tokenizer(folder.path()); }).code(), ErrorCode::bad_tokenizer);
  write_pair(
      folder, kMerges,
      R"({"tokenizer_class":"Qwen2Tokenizer","added_tokens_decoder":{"3":{"content":"<x>"}}})");
  EXPECT_EQ(error_of([&] { open_tokenizer(folder.path()); }).code(), ErrorCode::bad_tokenizer);
}

}  // namespace
}  // namespace pare::text
