// Gram matrices: by hand, over several samples, and the same for any number of threads.
#include "calib/gram.h"

#include "calib/stats.h"
#include "core/rng.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace pare::calib {
namespace {

using ::testing::ElementsAre;

TEST(Gram, ByHandAndOverSamples) {
  const std::vector<float> x = {1, 2, 3, 4};  // two rows of two inputs
  Matrix gram;
  add_gram(Context(1), {x.data(), 2, 2}, gram);
  // 1*1 + 3*3, 1*2 + 3*4; the same, 2*2 + 4*4.
  EXPECT_THAT(gram.values(), ElementsAre(10, 14, 14, 20));
  const std::vector<float> more = {10, 0};
  add_gram(Context(1), {more.data(), 1, 2}, gram);
  EXPECT_THAT(gram.values(), ElementsAre(110, 14, 14, 20));
  add_gram(Context(1), {more.data(), 0, 2}, gram);
  EXPECT_THAT(gram.values(), ElementsAre(110, 14, 14, 20));
}

TEST(Gram, IsSymmetricAndTheSameForAnyThreadCount) {
  Rng rng(3);
  Matrix x(37, 53);
  for (float& v : x.values())
    v = static_cast<float>(2 * rng.uniform() - 1);
  Matrix one;
  Matrix seven;
  add_gram(Context(1), std::as_const(x).view(), one);
  add_gram(Context(7), std::as_const(x).view(), seven);
  EXPECT_EQ(one.values(), seven.values());
  for (std::int64_t r = 0; r < 53; ++r) {
    for (std::int64_t c = 0; c < r; ++c)
      EXPECT_EQ(one.view().row(r)[c], one.view().row(c)[r]);
  }
}

TEST(StatsTap, AddsUpAGramMatrixWhereOneIsWanted) {
  const Context ctx(2);
  StatsTap tap(ctx, "block 0", 3, 8);
  tap.site(model::Site::attention_input).wants_gram = true;
  const std::vector<float> x = {1, 2, 3, 4};
  for (const model::Site site : {model::Site::attention_input, model::Site::mlp_input}) {
    tap.on_input(site, 0, {x.data(), 2, 2});
    tap.on_input(site, 1, {x.data(), 1, 2});
  }
  // 1*1 + 3*3 + 1*1, 14 + 1*2, 20 + 2*2.
  EXPECT_THAT(tap.site(model::Site::attention_input).gram.values(), ElementsAre(11, 16, 16, 24));
  EXPECT_EQ(tap.site(model::Site::attention_input).tokens_seen, 3);
  EXPECT_EQ(tap.site(model::Site::mlp_input).gram.rows(), 0);
}

}  // namespace
}  // namespace pare::calib
