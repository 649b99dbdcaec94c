#include "text/support.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::contains;
using testing::error_of;
using testing::TempFolder;
using Ids = std::vector<TokenId>;

// <s>=0 </s>=1 ▁=2 a=3 b=4 ▁a=5 ab=6
constexpr const char* kSmall = R"({"version":"1.0","truncation":{"max_length":1},"padding":null,
  "added_tokens":[{"id":0,"content":"<s>","special":true,"normalized":false},
                  {"id":1,"content":"</s>","special":true,"normalized":false}],
  "normalizer":{"type":"Prepend","prepend":"▁"},"pre_tokenizer":null,
  "post_processor":{"type":"TemplateProcessing",
     "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
     "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}},
  "decoder":{"type":"Fuse"},
  "model":{"type":"BPE","dropout":null,"unk_token":null,
     "vocab":{"<s>":0,"</s>":1,"▁":2,"a":3,"b":4,"▁a":5,"ab":6},"merges":["▁ a",["a","b"]]}})";

std::unique_ptr<Tokenizer> open_json(const std::string& json, const std::string& config = "") {
  TempFolder folder;
  folder.write("tokenizer.json", json);
  if (!config.empty()) folder.write("tokenizer_config.json", config);
  return open_tokenizer(folder.path());
}

std::string small_with(std::string_view from, std::string_view to) {
  std::string json = kSmall;
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return json.replace(at, from.size(), to);
}

TEST(TokenizerJson, HandWorked) {
  const auto tokenizer = open_json(kSmall);
  EXPECT_EQ(tokenizer->encode("ab"), (Ids{0, 5, 4}));  // ▁a before ab
  EXPECT_EQ(tokenizer->encode_plain("bab"), (Ids{2, 4, 6}));
  EXPECT_EQ(tokenizer->encode("</s>a"), (Ids{0, 1, 5}));  // each stretch gets its prefix
  EXPECT_EQ(tokenizer->encode(""), (Ids{0}));
  EXPECT_EQ(tokenizer->decode(Ids{0, 5, 4, 1, 99, -5}), "▁ab");
  EXPECT_EQ(tokenizer->piece(6), "ab");
  EXPECT_EQ(tokenizer->vocab_size(), 7);
  EXPECT_EQ(tokenizer->bos_id(), 0);  // no configuration: the template tells
  EXPECT_TRUE(tokenizer->adds_bos());
}

TEST(TokenizerJson, ConfigDecidesAboutBosForLlamaClassesOnly) {
  const std::string tail = R"("bos_token":"<s>","eos_token":{"content":"</s>"}})";
  const auto none =
      open_json(kSmall, R"({"tokenizer_class":"LlamaTokenizer","add_bos_token":false,)" + tail);
  EXPECT_EQ(none->encode("b"), (Ids{2, 4}));
  EXPECT_FALSE(none->adds_bos());
  EXPECT_EQ(none->bos_id(), 0);
  EXPECT_EQ(none->eos_id(), 1);
  const auto eos =
      open_json(kSmall, R"({"tokenizer_class":"LlamaTokenizerFast","add_eos_token":true,)" + tail);
  EXPECT_EQ(eos->encode("b"), (Ids{0, 2, 4, 1}));
  const auto other = open_json(
      kSmall, R"({"tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":false,)" + tail);
  EXPECT_EQ(other->encode("b"), (Ids{0, 2, 4}));
}

TEST(TokenizerJson, EndsFromTheOtherFiles) {
  TempFolder folder;
  folder.write("tokenizer.json", kSmall);
  folder.write("special_tokens_map.json", R"({"bos_token":{"content":"<s>"}})");
  folder.write("generation_config.json", R"({"eos_token_id":[1,0]})");
  folder.write("config.json", R"({"eos_token_id":0})");
  const auto tokenizer = open_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->bos_id(), 0);
  EXPECT_EQ(tokenizer->eos_id(), 1);
  folder.write("tokenizer_config.json", R"({"bos_token":null})");
  EXPECT_EQ(open_tokenizer(folder.path())->bos_id(), -1);  // the file says there is none
}

TEST(TokenizerJson, WinsOverTokenizerModel) {
  TempFolder folder;
  folder.write("tokenizer.json", kSmall);
  folder.write("tokenizer.model", "not a model");
  EXPECT_EQ(open_tokenizer(folder.path())->vocab_size(), 7);
}

TEST(TokenizerJson, UnknownPartsAreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {small_with(R"("type":"BPE")", R"("type":"Unigram")"), "Unigram"},
      {small_with(R"("type":"Prepend")", R"("type":"BertNormalizer")"), "BertNormalizer"},
      {small_with(R"("pre_tokenizer":null)", R"("pre_tokenizer":{"type":"Punctuation"})"),
       "Punctuation"},
      {small_with("TemplateProcessing", "RobertaProcessing"), "RobertaProcessing"},
      {small_with(R"("type":"Fuse")", R"("type":"WordPiece")"), "WordPiece"},
      {small_with(R"("dropout":null)", R"("dropout":0.1)"), "dropout"},
      {small_with(R"("unk_token":null)", R"("end_of_word_suffix":"</w>")"), "end_of_word_suffix"},
  };
  for (const auto& [json, name] : cases) {
    const Error error = error_of([&] { open_json(json); });
    EXPECT_EQ(error.code(), ErrorCode::tokenizer_not_supported) << error.what();
    EXPECT_TRUE(contains(error.detail(), name)) << error.what();
  }
}

TEST(TokenizerJson, DamageIsAnError) {
  const std::vector<std::string> cases = {
      "[]",
      "{}",
      R"({"model":7})",
      R"({"model":{"type":"BPE"}})",
      small_with(R"("a":3)", R"("a":2)"),  // an id twice
      small_with(R"("a":3)", R"("a":-3)"),
      small_with(R"("a":3)", R"("a":99999999999)"),
      small_with(R"("a":3)", R"("a":18446744073709551615)"),
      small_with(R"("a":3)", R"("a":3.5)"),
      small_with(R"("a":3)", R"("a":"3")"),
      small_with(R"("a":3,)", ""),  // merges name an unknown piece
      small_with(R"("▁ a")", R"("▁ a b")"),
      small_with(R"("▁ a")", R"("▁a")"),
      small_with(R"("▁ a")", "5"),
      small_with(R"(["a","b"])", R"(["a"])"),
      small_with(R"(["a","b"])", R"(["a",1])"),
      small_with(R"({"id":0,"content")", R"({"id":5,"content")"),  // known under another id
      small_with(R"({"id":0,"content")", R"({"id":"0","content")"),
      small_with(R"("ids":[0])", R"("ids":[70])"),
      small_with(R"("ids":[0])", R"("ids":"0")"),
      small_with(R"({"Sequence":{"id":"A","type_id":0}})", R"({"SpecialToken":{"id":"<s>"}})"),
      small_with(R"("special_tokens":{"<s>")", R"("special_tokens":{"<x>")"),
      small_with(R"("prepend":"▁")", R"("prepend":1)"),
      small_with(R"("unk_token":null)", R"("unk_token":"<unk>")"),
      small_with(R"("unk_token":null)", R"("byte_fallback":"yes")"),
  };
  for (const std::string& json : cases) {
    const Error error = error_of([&] { open_json(json); });
    EXPECT_EQ(error.code(), ErrorCode::bad_tokenizer) << error.what() << "\n" << json;
    EXPECT_FALSE(error.where().empty());
  }
}

TEST(TokenizerJson, CutsAndFlippedBytesGiveAnErrorOrATokenizer) {
  const std::string whole = testing::read_all(
      testing::source_path("tests/golden/tokenizers/llama-metaspace/tokenizer.json"));
  ASSERT_GT(whole.size(), 5000U);
  TempFolder folder;
  const auto try_open = [&](const std::string& json) {
    folder.write("tokenizer.json", json);
    try {
      return !open_tokenizer(folder.path())->encode("Hello <s> w\u00f6rld").empty();
    } catch (const Error&) {
      return false;
    }
  };
  EXPECT_TRUE(try_open(whole));
  for (std::size_t size = 0; size < whole.size(); size += 157)
    EXPECT_FALSE(try_open(whole.substr(0, size)));
  for (std::size_t at = 0; at < whole.size(); at += 83) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 7)));
    try_open(flipped);
  }
}

TEST(OpenTokenizer, NamesTheFilesItLookedFor) {
  const TempFolder folder;
  EXPECT_FALSE(has_tokenizer(folder.path()));
  const Error error = error_of([&] { open_tokenizer(folder.path()); });
  EXPECT_EQ(error.code(), ErrorCode::tokenizer_missing);
  for (const char* name : {"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt"}) {
    EXPECT_TRUE(contains(error.what(), name)) << error.what();
  }
  EXPECT_FALSE(has_tokenizer("/nowhere/at/all"));
}

TEST(OpenTokenizer, KindsHaveNames) {
  ASSERT_EQ(tokenizer_kinds().size(), 3U);
  for (const TokenizerKind* kind : tokenizer_kinds())
    EXPECT_FALSE(kind->id.empty() || kind->summary.empty());
}

}  // namespace
}  // namespace pare::text
