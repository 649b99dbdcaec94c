// Perplexity and comparison on a tiny model: against its own logits, and for any threads and
// groups.
#include "eval/perplexity.h"

#include "eval/row_math.h"
#include "eval/tiny_model.h"
#include "pare/error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pare::eval {
namespace {

using testing::some_ids;
using testing::TinyModel;

Windows some_windows(std::string_view protocol, std::int64_t context = 16, std::int64_t n = 5) {
  return make_windows(some_ids(context * n), find_protocol(protocol), context, 0, 0);
}

/// Mean nll over the scored targets, straight from the definition.
double nll_by_definition(const TinyModel& tiny, const Windows& windows) {
  const Context ctx(1);
  double sum = 0;
  std::int64_t count = 0;
  for (const auto& window : windows.ids) {
    std::vector<std::vector<float>> rows;
    logits_of(ctx, tiny.model(), {&window, 1}, [&](MatrixView<const float> piece) {
      for (std::int64_t r = 0; r < piece.rows; ++r) {
        rows.emplace_back(piece.row(r), piece.row(r) + piece.cols);
      }
    });
    for (std::int64_t t = windows.first_target; t < windows.context; ++t) {
      const std::vector<float>& row = rows[static_cast<std::size_t>(t - 1)];
      double total = 0;
      for (const float x : row)
        total += std::exp(static_cast<double>(x));
      const auto id = static_cast<std::size_t>(window[static_cast<std::size_t>(t)]);
      sum += std::log(total) - static_cast<double>(row[id]);
      ++count;
    }
  }
  return sum / static_cast<double>(count);
}

TEST(Perplexity, OfAModelThatKnowsNothingIsTheVocabulary) {
  TinyModel tiny;
  tiny.weights.fill(tiny.graph.module(model::Role::head).weight_name(), 0);
  const Perplexity p = perplexity(Context(2), tiny.model(), some_windows("gptq"));
  EXPECT_NEAR(p.perplexity, 32, 1e-12);
  EXPECT_NEAR(p.stderr_, 0, 1e-12);
  EXPECT_EQ(p.windows, 5);
  EXPECT_EQ(p.tokens, 5 * 15);
}

TEST(Perplexity, IsWhatItsDefinitionSays) {
  const TinyModel tiny;
  for (const char* protocol : {"gptq", "llamacpp"}) {
    const Windows windows = some_windows(protocol);
    const Perplexity p = perplexity(Context(2), tiny.model(), windows);
    EXPECT_NEAR(p.nll, nll_by_definition(tiny, windows), 1e-9) << protocol;
    EXPECT_NEAR(p.perplexity, std::exp(p.nll), 1e-9) << protocol;
    EXPECT_GT(p.stderr_, 0) << protocol;
  }
}

TEST(Perplexity, LlamaCppScoresTheSecondHalf) {
  const Perplexity p = perplexity(Context(1), TinyModel().model(), some_windows("llamacpp"));
  EXPECT_EQ(p.tokens, 5 * 7);  // logits of positions 8 … 14 of 16
}

TEST(Perplexity, HasTheSameBitsForAnyThreadsAndGroups) {
  const TinyModel tiny;
  // 2400 tokens: more than go through a block together, so there are several batches.
  const Windows windows = some_windows("gptq", 24, 100);
  const Perplexity one = perplexity(Context(1), tiny.model(), windows);
  for (const int threads : {2, 7}) {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{1} << 30}) {
      const Perplexity other = perplexity(Context(threads), tiny.model(), windows, bytes);
      EXPECT_EQ(one.nll, other.nll) << threads << " threads, " << bytes << " bytes";
      EXPECT_EQ(one.stderr_, other.stderr_) << threads << " threads, " << bytes << " bytes";
    }
  }
}

TEST(Perplexity, RefusesLogitsThatAreNotFinite) {
  TinyModel tiny;
  tiny.weights.fill(tiny.graph.module(model::Role::head).weight_name(),
                    std::numeric_limits<float>::quiet_NaN());
  try {
    perplexity(Context(2), tiny.model(), some_windows("gptq"));
    FAIL() << "NaN passed";
  } catch (const Error& failure) {
    EXPECT_EQ(failure.code(), ErrorCode::not_finite);
  }
}

TEST(Perplexity, StopsWhenCancelled) {
  Context ctx(1);
  ctx.cancel();
  try {
    perplexity(ctx, TinyModel().model(), some_windows("gptq"));
    FAIL() << "not stopped";
  } catch (const Error& failure) {
    EXPECT_EQ(failure.code(), ErrorCode::interrupted);
  }
}

TEST(Compare, AModelWithItselfIsExactlyEqual) {
  const TinyModel tiny;
  const Comparison c = compare(Context(2), tiny.model(), tiny.model(), some_windows("gptq"));
  EXPECT_EQ(c.kl_mean, 0);
  EXPECT_EQ(c.kl_max, 0);
  EXPECT_EQ(c.kl_stderr, 0);
  EXPECT_EQ(c.top1_agreement, 1);
  EXPECT_EQ(c.perplexity_ratio, 1);
  EXPECT_EQ(c.perplexity_ratio_stderr, 0);
}

TEST(Compare, AgreesWithPerplexityAndSeesADifference) {
  const TinyModel base;
  const TinyModel other(1, 0.3F);
  const Windows windows = some_windows("llamacpp");
  const Comparison c = compare(Context(2), base.model(), other.model(), windows);
  const Perplexity a = perplexity(Context(1), base.model(), windows);
  const Perplexity b = perplexity(Context(1), other.model(), windows);
  EXPECT_EQ(c.base.nll, a.nll);
  EXPECT_EQ(c.other.nll, b.nll);
  EXPECT_NEAR(c.perplexity_ratio, b.perplexity / a.perplexity, 1e-12);
  EXPECT_GT(c.kl_mean, 0);
  EXPECT_GE(c.kl_max, c.kl_p99);
  EXPECT_GE(c.kl_p99, c.kl_median);
  EXPECT_LT(c.top1_agreement, 1);
}

TEST(Compare, IsTheMeanOfTheRowDivergences) {
  const TinyModel base;
  const TinyModel other(1, 0.3F);
  const Windows windows = some_windows("gptq", 8, 1);
  Matrix logits[2] = {Matrix(8, 32), Matrix(8, 32)};
  const model::Model models[2] = {base.model(), other.model()};
  for (int m = 0; m < 2; ++m) {
    logits_of(Context(1), models[m], windows.ids, [&](MatrixView<const float> rows) {
      for (std::int64_t r = 0; r < rows.rows; ++r) {
        std::copy_n(rows.row(r), rows.cols, logits[m].view().row(r));
      }
    });
  }
  double sum = 0;
  for (std::int64_t r = 0; r < 7; ++r) {
    const auto a = std::as_const(logits[0]).view().row_span(r);
    const auto b = std::as_const(logits[1]).view().row_span(r);
    sum += kl_divergence(a, row_stats(a), b, row_stats(b));
  }
  EXPECT_NEAR(compare(Context(2), base.model(), other.model(), windows).kl_mean, sum / 7, 1e-9);
}

TEST(LogitsOf, RowsComeInTheOrderOfTheSequences) {
  const TinyModel tiny;
  const std::vector<std::vector<text::TokenId>> both = {some_ids(5, 1), some_ids(9, 2)};
  std::vector<float> together;
  std::vector<float> apart;
  const auto take_into = [](std::vector<float>& all) {
    return [&all](MatrixView<const float> rows) {
      all.insert(all.end(), rows.data, rows.data + rows.rows * rows.cols);
    };
  };
  logits_of(Context(2), tiny.model(), both, take_into(together));
  logits_of(Context(1), tiny.model(), std::span(both).subspan(0, 1), take_into(apart));
  logits_of(Context(1), tiny.model(), std::span(both).subspan(1, 1), take_into(apart));
  ASSERT_EQ(together.size(), 14U * 32U);
  ASSERT_EQ(apart.size(), together.size());
  for (std::size_t i = 0; i < apart.size(); ++i)
    ASSERT_NEAR(apart[i], together[i], 1e-5);
}

}  // namespace
}  // namespace pare::eval
