#include "text/unicode/unicode.h"

#include "text/unicode/byte_alphabet.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

TEST(Utf8, ReadsOneToFourBytes) {
  const std::string text = "a\u00e9\u4e2d\U0001F642";
  EXPECT_EQ(code_point_at(text, 0).value, U'a');
  EXPECT_EQ(code_point_at(text, 1).value, 0xE9U);
  EXPECT_EQ(code_point_at(text, 3).value, 0x4E2DU);
  EXPECT_EQ(code_point_at(text, 6).value, 0x1F642U);
  EXPECT_EQ(last_code_point(text), 0x1F642U);
}

TEST(Utf8, MalformedBytesBecomeOneReplacementForEachMaximalSubpart) {
  const std::string r = "\ufffd";
  EXPECT_EQ(to_valid_utf8("\xff"), r);
  EXPECT_EQ(to_valid_utf8("a\xe4\xb8z"), "a" + r + "z");        // a begun character: one
  EXPECT_EQ(to_valid_utf8("\xe0\x80\x80"), r + r + r);          // overlong: every byte by itself
  EXPECT_EQ(to_valid_utf8("\xed\xa0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(to_valid_utf8("\xf4\x90\x80\x80"), r + r + r + r);  // behind U+10FFFF
  EXPECT_EQ(to_valid_utf8("\xf0\x9f\x99"), r);                  // cut off at the end
  EXPECT_EQ(to_valid_utf8(std::string("\0b", 2)), std::string("\0b", 2));
}

TEST(Utf8, WritesWhatItReads) {
  for (const char32_t c :
       {U'\x7f', U'\x80', U'\u07ff', U'\u0800', U'\uffff', U'\U00010000', U'\U0010ffff'}) {
    std::string text;
    append_utf8(text, c);
    EXPECT_EQ(code_point_at(text, 0).value, c);
    EXPECT_EQ(code_point_at(text, 0).bytes, text.size());
  }
}

TEST(Unicode, Properties) {
  EXPECT_TRUE(is_white_space(0x3000));
  EXPECT_FALSE(is_white_space(0x180E));  // no space since Unicode 6.3
  EXPECT_FALSE(is_white_space(0x200B));
  EXPECT_TRUE(is_numeric(0x00BD));  // one half
  EXPECT_FALSE(is_numeric(U'a'));
  EXPECT_TRUE(is_word_character(U'_'));
  EXPECT_TRUE(is_word_character(0x0301));
  EXPECT_TRUE(is_word_character(0x2EBF0));  // a letter since Unicode 15.1
  EXPECT_FALSE(is_word_character(U'-'));
  EXPECT_EQ(to_lower("\u00c9A\u0130"), "\u00e9ai\u0307");
}

TEST(ByteAlphabet, SpellsSpaceAndNewlineAsGpt2Does) {
  EXPECT_EQ(letter_of_byte(' '), 0x120U);
  EXPECT_EQ(letter_of_byte('\n'), 0x10AU);
  EXPECT_EQ(letter_of_byte(0), 0x100U);
  EXPECT_EQ(letter_of_byte(0xAD), 0x143U);  // the 68th and last shifted byte
  EXPECT_EQ(letter_of_byte('a'), U'a');
  EXPECT_EQ(to_byte_letters(" \u00e9"), "\u0120\u00c3\u00a9");  // bytes C3 A9
}

TEST(ByteAlphabet, EveryByteComesBack) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(byte_of_letter(letter_of_byte(static_cast<unsigned char>(byte))), byte);
  }
  EXPECT_EQ(byte_of_letter(U' '), std::nullopt);
  EXPECT_EQ(byte_of_letter(0x144), std::nullopt);
}

}  // namespace
}  // namespace pare::text
