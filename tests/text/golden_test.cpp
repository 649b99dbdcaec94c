// Ids that the real libraries gave for hostile texts, for every golden tokenizer there is.
#include "text/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace pare::text {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

std::vector<fs::path> golden_folders() {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (const auto& entry :
       fs::directory_iterator(testing::source_path("tests/golden/tokenizers"), ignored)) {
    if (fs::exists(entry.path() / "golden.jsonl")) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<io::Json> cases_of(const fs::path& folder) {
  std::vector<io::Json> cases;
  std::ifstream lines(folder / "golden.jsonl");
  for (std::string line; std::getline(lines, line);)
    cases.push_back(io::Json::parse(line));
  return cases;
}

class GoldenTokenizer : public ::testing::TestWithParam<fs::path> {};

TEST_P(GoldenTokenizer, EveryIdIsTheLibrarys) {
  const auto tokenizer = open_tokenizer(GetParam());
  const std::vector<io::Json> cases = cases_of(GetParam());
  ASSERT_GT(cases.size(), 40U);
  for (const io::Json& golden : cases) {
    const auto text = golden.at("text").get<std::string>();
    EXPECT_EQ(tokenizer->encode(text), golden.at("ids").get<Ids>()) << golden.at("text").dump();
    EXPECT_EQ(tokenizer->encode_plain(text), golden.at("ids_plain").get<Ids>())
        << golden.at("text").dump();
  }
}

TEST_P(GoldenTokenizer, IdsArePiecesAndBosIsWhereItSays) {
  const auto tokenizer = open_tokenizer(GetParam());
  for (const io::Json& golden : cases_of(GetParam())) {
    const auto ids = golden.at("ids").get<Ids>();
    for (const TokenId id : ids) {
      ASSERT_LT(id, tokenizer->vocab_size());
      EXPECT_FALSE(tokenizer->piece(id).empty());
    }
    EXPECT_EQ(tokenizer->adds_bos(), ids.size() > golden.at("ids_plain").size());
    if (tokenizer->adds_bos()) {
      EXPECT_EQ(ids.front(), tokenizer->bos_id());
    }
  }
  EXPECT_EQ(testing::error_of([&] { tokenizer->piece(-1); }).code(), ErrorCode::token_out_of_range);
  const auto end = static_cast<TokenId>(tokenizer->vocab_size());
  EXPECT_EQ(testing::error_of([&] { tokenizer->piece(end); }).code(),
            ErrorCode::token_out_of_range);
}

TEST_P(GoldenTokenizer, InvalidUtf8IsReadAsReplacementCharacters) {
  const auto tokenizer = open_tokenizer(GetParam());
  EXPECT_EQ(tokenizer->encode("a\xffz"), tokenizer->encode("a\ufffdz"));
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTokenizer, ::testing::ValuesIn(golden_folders()),
                         [](const auto& folder) {
                           std::string name = folder.param.filename().string();
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(GoldenTokenizers, AreThere) { EXPECT_FALSE(golden_folders().empty()); }

// Byte-level decoding gives the text back, except for what NFC changes and specials inside it.
TEST(GoldenTokenizers, ByteLevelDecodesToTheText) {
  const fs::path folder = testing::source_path("tests/golden/tokenizers/llama3");
  const auto tokenizer = open_tokenizer(folder);
  int compared = 0;
  for (const io::Json& golden : cases_of(folder)) {
    const auto text = golden.at("text").get<std::string>();
    if (testing::contains(text, "<|")) continue;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    ++compared;
  }
  EXPECT_GT(compared, 40);
}

TEST(GoldenTokenizers, SpecialTokensAreLeftOutOfDecodedText) {
  const auto tokenizer = open_tokenizer(testing::source_path("tests/golden/tokenizers/qwen2"));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("<|im_start|>user<tool><|im_end|>")), "user<tool>");
}

}  // namespace
}  // namespace pare::text
