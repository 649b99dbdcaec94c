// Names of the parts of a set of weights.
#include "containers/numbered_name.h"

#include <gtest/gtest.h>

namespace pare::containers {
namespace {

TEST(NumberedName, SplitsBaseNumberAndCount) {
  const auto part = numbered_name("m-Q4_K_M-00002-of-00005.gguf", ".gguf");
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(part->base, "m-Q4_K_M");
  EXPECT_EQ(part->number, 2);
  EXPECT_EQ(part->count, 5);
}

TEST(NumberedName, OtherNamesAreNone) {
  for (const char* name : {"model.gguf", "m-00001-of-.gguf", "m-x-of-00002.gguf", "-of-2.gguf",
                           "m-00000-of-00002.gguf", "m-1-of-99999999999.gguf", "of-of-of.gguf",
                           "m-00001-of-00002.safetensors", "m-00001-of-00002", ""})
    EXPECT_FALSE(numbered_name(name, ".gguf").has_value()) << name;
}

}  // namespace
}  // namespace pare::containers
