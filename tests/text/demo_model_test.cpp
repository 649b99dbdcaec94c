// The tokenizer of the embedded demonstration model, in both of its forms.
#include "text/support.h"

#include <gtest/gtest.h>

#include <chrono>

namespace pare::text {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

class DemoModel : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path demo = testing::source_path("demo/model");
    ASSERT_TRUE(fs::exists(demo / "tokenizer.json")) << demo;
    for (const char* name : {"tokenizer.model", "tokenizer_config.json"})
      fs::copy(demo / name, folder_.path());
    json_ = open_tokenizer(demo);
    model_ = open_tokenizer(folder_.path());
  }

  testing::TempFolder folder_;
  std::unique_ptr<Tokenizer> json_;
  std::unique_ptr<Tokenizer> model_;
};

TEST_F(DemoModel, BothFormsGiveTheSameIds) {
  for (const char* text : {"The old house stood by the river.", "", "  two  spaces ",
                           "caf\u00e9 \u4e2d\n\n1234", "x\ty"}) {
    EXPECT_EQ(json_->encode(text), model_->encode(text)) << text;
    EXPECT_EQ(json_->decode(json_->encode(text)), text);
    EXPECT_EQ(model_->decode(model_->encode(text)), text);
  }
  EXPECT_EQ(json_->vocab_size(), 4096);
  EXPECT_EQ(model_->vocab_size(), 4096);
  EXPECT_EQ(json_->bos_id(), 1);
  EXPECT_EQ(json_->eos_id(), 2);
}

TEST_F(DemoModel, TheyDifferOnlyInSpecialsInsideText) {
  EXPECT_EQ(json_->encode("</s>"), (Ids{1, 2}));
  EXPECT_GT(model_->encode("</s>").size(), 2U);
}

TEST_F(DemoModel, AMegabyteAsOneTextTakesSeconds) {
  const std::string page = testing::read_all(testing::source_path("demo/text.txt"));
  if (page.empty()) GTEST_SKIP() << "demo/text.txt is not there";
  std::string book;
  while (book.size() < 1'000'000)
    book += page;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_GT(json_->encode(book).size(), 100'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

}  // namespace
}  // namespace pare::text
