// What every kind of tokenizer must do: know its own files, give ids of its vocabulary and text
// that stays the same, and answer damage with an error. The golden folders are the examples; that
// their ids are those of the real libraries is tested in tests/text.
#include "pare/error.h"
#include "support/temp_dir.h"
#include "text/token_table.h"
#include "text/tokenizer.h"
#include "text/unicode/unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <future>
#include <limits>
#include <set>

namespace pare::text {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kSentence = "The quick brown fox, 42 years old, isn't here.";

std::vector<fs::path> golden_folders() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(PARE_SOURCE_DIR "/tests/golden/tokenizers"))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<fs::path> golden_folders(const TokenizerKind& kind) {
  std::vector<fs::path> folders = golden_folders();
  std::erase_if(folders, [&](const fs::path& folder) { return !kind.probe(folder); });
  return folders;
}

/// The files of a golden folder that hold the tokenizer itself.
std::vector<std::string> vocabulary_files(const fs::path& folder) {
  std::vector<std::string> names = test::names_in(folder);
  std::erase(names, "golden.jsonl");
  std::erase(names, "tokenizer_config.json");
  return names;
}

/// Texts at the edges of what text can be; some are no valid UTF-8.
std::vector<std::string> hostile_texts() {
  return {std::string(kSentence),
          "",
          " ",
          "\n\n \t",
          std::string("zero\0inside", 11),
          "\xff\xfe",
          "cut \xf0\x9f\x99",
          "\xed\xa0\x80 surrogate",
          "\xc0\xaf overlong",
          "\xe2\x96\x81 \xc4\xa0 <0x41> <s> </s> <|endoftext|>",
          "e\xcc\x81\xcc\x81\xcc\x81 \xf0\x9f\x99\x82\xf0\x9f\x87\xab\xf0\x9f\x87\xb7",
          std::string(5000, 'a'),
          std::string(5000, ' ')};
}

void expect_in_vocabulary(const Tokenizer& tokenizer, const Ids& ids) {
  for (const TokenId id : ids) {
    ASSERT_GE(id, 0);
    ASSERT_LT(id, tokenizer.vocab_size());
  }
}

class EveryTokenizer : public ::testing::TestWithParam<const TokenizerKind*> {
 protected:
  /// Calls `check(tokenizer)` for every golden folder of the kind.
  template <typename Check>
  void for_each_golden(const Check& check) const {
    for (const fs::path& folder : golden_folders(*GetParam())) {
      SCOPED_TRACE(folder.filename());
      check(*GetParam()->open(folder));
    }
  }

  /// Opens a copy of a golden folder with one file changed; nullptr when that was refused.
  std::unique_ptr<Tokenizer> open_with(const fs::path& golden, const std::string& file,
                                       const std::string& content) const {
    const test::TempDir folder;
    fs::copy(golden, folder.path());
    test::put_file(folder / file, content);
    try {
      return GetParam()->open(folder.path());
    } catch (const Error& error) {
      EXPECT_THAT(error.code(), ::testing::AnyOf(ErrorCode::bad_tokenizer, ErrorCode::bad_json,
                                                 ErrorCode::tokenizer_not_supported));
      EXPECT_THAT(error.what(), HasSubstr(file));
      return nullptr;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(All, EveryTokenizer,
                         ::testing::ValuesIn(tokenizer_kinds().begin(), tokenizer_kinds().end()),
                         [](const auto& kind) {
                           std::string name(kind.param->id);
                           for (char& c : name)
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           return name;
                         });

TEST(Tokenizers, DescribeThemselves) {
  std::set<std::string_view> ids;
  for (const TokenizerKind* kind : tokenizer_kinds()) {
    EXPECT_TRUE(ids.insert(kind->id).second) << kind->id << " is there twice";
    EXPECT_GT(kind->summary.size(), 10U) << kind->id;
    EXPECT_FALSE(kind->summary.ends_with('.')) << kind->id;
  }
}

TEST(Tokenizers, OneKindClaimsEachGoldenFolder) {
  for (const fs::path& folder : golden_folders()) {
    const auto claims = [&](const TokenizerKind* kind) { return kind->probe(folder); };
    EXPECT_EQ(std::count_if(tokenizer_kinds().begin(), tokenizer_kinds().end(), claims), 1)
        << folder;
  }
}

TEST_P(EveryTokenizer, HasAGoldenFolder) {
  EXPECT_THAT(golden_folders(*GetParam()), Not(IsEmpty()))
      << "make one with tests/golden/generate/make_tokenizers.py";
}

TEST_P(EveryTokenizer, ClaimsNothingButItsFiles) {
  const test::TempDir folder;
  EXPECT_FALSE(GetParam()->probe(folder.path()));
  EXPECT_FALSE(GetParam()->probe(folder / "absent"));
  test::put_file(folder / "config.json", "{}");
  test::put_file(folder / "tokenizer_config.json", "{}");
  EXPECT_FALSE(GetParam()->probe(folder.path()));
  EXPECT_FALSE(GetParam()->probe(folder / "config.json"));
  for (const fs::path& golden : golden_folders(*GetParam()))
    for (const std::string& name : vocabulary_files(golden))
      fs::create_directory(folder / name);
  EXPECT_FALSE(GetParam()->probe(folder.path())) << "folders with the names of its files";
}

TEST_P(EveryTokenizer, GivesIdsOfItsVocabularyForAnyText) {
  for_each_golden([](const Tokenizer& tokenizer) {
    for (const std::string& text : hostile_texts())
      expect_in_vocabulary(tokenizer, tokenizer.encode(text));
  });
}

TEST_P(EveryTokenizer, PutsTheSameTokensAroundEveryText) {
  for_each_golden([](const Tokenizer& tokenizer) {
    const Ids around = tokenizer.encode("");
    for (const std::string& text : hostile_texts()) {
      const Ids all = tokenizer.encode(text);
      const Ids plain = tokenizer.encode_plain(text);
      ASSERT_EQ(all.size(), around.size() + plain.size());
      EXPECT_TRUE(std::search(all.begin(), all.end(), plain.begin(), plain.end()) != all.end() ||
                  plain.empty());
      EXPECT_EQ(tokenizer.adds_bos(), !all.empty() && all.front() == tokenizer.bos_id());
    }
  });
}

TEST_P(EveryTokenizer, GivesASentenceBack) {
  for_each_golden([](const Tokenizer& tokenizer) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(kSentence)), kSentence);
  });
}

// Leading spaces are another matter: tokenizers that put one before a text take one away, too.
TEST_P(EveryTokenizer, TextOnceDecodedStaysTheSame) {
  for_each_golden([](const Tokenizer& tokenizer) {
    for (const std::string& text : hostile_texts()) {
      const std::string once = tokenizer.decode(tokenizer.encode(text));
      EXPECT_EQ(to_valid_utf8(once), once);
      if (once.starts_with(' ')) continue;
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(once)), once);
    }
  });
}

TEST_P(EveryTokenizer, LeavesOutIdsThatItDoesNotHave) {
  constexpr TokenId kHighest = std::numeric_limits<TokenId>::max();
  for_each_golden([](const Tokenizer& tokenizer) {
    const auto end = static_cast<TokenId>(tokenizer.vocab_size());
    Ids ids = tokenizer.encode_plain("word");
    const std::string text = tokenizer.decode(ids);
    ids.insert(ids.begin(), {-1, end, kHighest, -kHighest});
    ids.insert(ids.end(), {-1, end, kHighest});
    EXPECT_EQ(tokenizer.decode(ids), text);
    for (const TokenId id : {-1, end, kHighest, -kHighest}) {
      try {
        ADD_FAILURE() << id << " is " << tokenizer.piece(id);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::token_out_of_range);
      }
    }
  });
}

TEST_P(EveryTokenizer, HasATableThatSpellsItsPieces) {
  for (const fs::path& folder : golden_folders(*GetParam())) {
    SCOPED_TRACE(folder.filename());
    const auto tokenizer = GetParam()->open(folder);
    std::optional<TokenTable> table;
    try {
      table = GetParam()->table(folder);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::tokenizer_not_supported);
      continue;
    }
    ASSERT_TRUE(table.has_value()) << "no other kind's files are there";
    EXPECT_EQ(table->bos, tokenizer->bos_id());
    EXPECT_EQ(table->eos, tokenizer->eos_id());
    ASSERT_EQ(static_cast<std::int64_t>(table->tokens.size()), tokenizer->vocab_size());
    ASSERT_EQ(table->types.size(), table->tokens.size());
    for (std::size_t id = 0; id < table->tokens.size(); ++id) {
      if (table->types[id] == TokenType::unused) continue;
      EXPECT_EQ(table->tokens[id], tokenizer->piece(static_cast<TokenId>(id)));
    }
  }
}

TEST_P(EveryTokenizer, RefusesGarbage) {
  const std::string garbage[] = {std::string("\0\xff\x80\0", 4), "null", "[1, 2", "\x0a\x7f"};
  for (const fs::path& golden : golden_folders(*GetParam())) {
    for (const std::string& file : vocabulary_files(golden)) {
      for (const std::string& content : garbage)
        EXPECT_EQ(open_with(golden, file, content), nullptr) << golden << ' ' << file;
    }
  }
}

TEST_P(EveryTokenizer, AnswersACutFileWithAnErrorOrWorks) {
  int refused = 0;
  for (const fs::path& golden : golden_folders(*GetParam())) {
    for (const std::string& file : vocabulary_files(golden)) {
      const std::string whole = test::get_file(golden / file);
      for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 23) {
        SCOPED_TRACE(golden.filename().string() + " " + file + " " + std::to_string(size));
        const auto tokenizer = open_with(golden, file, whole.substr(0, size));
        if (tokenizer == nullptr) ++refused;
        if (tokenizer != nullptr) {
          expect_in_vocabulary(*tokenizer, tokenizer->encode(kSentence));
        }
      }
    }
  }
  EXPECT_GT(refused, 20);
}

TEST_P(EveryTokenizer, GivesTheSameIdsToSeveralThreads) {
  for_each_golden([](const Tokenizer& tokenizer) {
    const Ids alone = tokenizer.encode(kSentence);
    std::vector<std::future<Ids>> found;
    for (int i = 0; i < 4; ++i)
      found.push_back(std::async(std::launch::async, [&] { return tokenizer.encode(kSentence); }));
    for (std::future<Ids>& ids : found)
      EXPECT_EQ(ids.get(), alone);
  });
}

}  // namespace
}  // namespace pare::text
