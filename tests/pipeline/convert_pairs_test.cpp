// Every pair of layouts: A -> B -> A gives every number back where B holds the model exactly, and
// is refused with a reason and a way out that works where it does not.
#include "pare/error.h"
#include "support/converted.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <set>
#include <utility>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;
using layout::Layout;
using quant::Activations;
using quant::CodeForm;
using quant::Granularity;

using Ids = std::set<std::string_view>;

/// Layouts whose abilities are written down here; others must keep what they accept.
const Ids kKnown = {"ascend",  "ascend-v1",          "npy",        "autoawq", "gptq",
                    "gptq-v2", "compressed-tensors", "dequantized"};
const Ids kAll = {"ascend", "ascend-v1", "npy", "autoawq", "gptq", "gptq-v2", "compressed-tensors"};
const Ids kNoAwq = {"ascend", "ascend-v1", "npy", "gptq", "gptq-v2", "compressed-tensors"};
const Ids kInt8Inputs = {"ascend", "ascend-v1", "npy", "compressed-tensors"};
const Ids kAscend = {"ascend", "ascend-v1", "npy"};

struct Variant {
  std::string name;
  quant::Scheme scheme;
  Ids exact;
  bool act_order = false;
};

void PrintTo(const Variant& v, std::ostream* out) { *out << v.name; }

quant::Scheme weights(int bits, bool symmetric, std::int64_t group) {
  return {.weight_bits = bits,
          .symmetric = symmetric,
          .granularity = group > 0 ? Granularity::group : Granularity::channel,
          .group_size = group};
}

std::vector<Variant> variants() {
  const quant::Scheme fixed{.activations = Activations::static_tensor};
  const quant::Scheme dynamic{.activations = Activations::dynamic_token};
  quant::Scheme sparse = fixed;
  sparse.form = CodeForm::outliers;
  quant::Scheme one_scale = fixed;
  one_scale.granularity = Granularity::tensor;
  const quant::Scheme two_stage{.weight_bits = 4,
                                .granularity = Granularity::group,
                                .group_size = 32,
                                .activations = Activations::dynamic_token,
                                .form = CodeForm::two_stage};
  return {{"w4_groups", weights(4, true, 32), kAll},
          {"w4_groups_zeros", weights(4, false, 32), kAll},
          {"w4_one_group_in_some", weights(4, true, 64), kAll},
          {"w4_rows", weights(4, true, 0), kNoAwq},
          {"w4_rows_zeros", weights(4, false, 0), kNoAwq},
          {"w8_groups", weights(8, true, 32), kNoAwq},
          {"w8_groups_zeros", weights(8, false, 32), kNoAwq},
          {"w8_rows", weights(8, true, 0), kNoAwq},
          {"w8_rows_zeros", weights(8, false, 0), kNoAwq},
          {"w4_act_order", weights(4, true, 32), {"gptq", "gptq-v2", "compressed-tensors"}, true},
          {"w4_act_order_zeros",
           weights(4, false, 32),
           {"gptq", "gptq-v2", "compressed-tensors"},
           true},
          {"w8_act_order", weights(8, true, 32), {"gptq", "gptq-v2", "compressed-tensors"}, true},
          {"w8_one_scale", {.granularity = Granularity::tensor}, kAscend},
          {"w8a8", fixed, kInt8Inputs},
          {"w8a8_one_scale", one_scale, kInt8Inputs},
          {"w8a8_dynamic", dynamic, kInt8Inputs},
          {"w8a8s", sparse, kInt8Inputs},
          {"w4a8_two_stages", two_stage, {"ascend", "ascend-v1"}}};
}

/// Groups of columns as act-order leaves them: scattered, each as large as the others.
void scatter_groups(quant::QuantizedLinear& q, Rng& rng) {
  q.group_index.resize(static_cast<std::size_t>(q.in));
  for (std::size_t i = 0; i < q.group_index.size(); ++i)
    q.group_index[i] =
        static_cast<std::int32_t>(i) / static_cast<std::int32_t>(q.scheme.group_size);
  for (std::size_t i = q.group_index.size(); i-- > 1;)
    std::swap(q.group_index[i], q.group_index[rng.next() % (i + 1)]);
}

/// Three linears, one with a bias; every number is exact in F16.
test::MadeUpModel model_of(const Variant& variant) {
  test::MadeUpModel model =
      test::made_up_model(variant.scheme, DType::f16, {.q_out = 8, .up_out = 16});
  if (!variant.act_order) return model;
  Rng rng(11);
  for (layout::OutputEntry& entry : model.plan.entries) {
    if (entry.linear.has_value()) entry.linear->act_order = true;
  }
  for (auto& [name, linear] : model.linears) {
    linear.act_order = true;
    scatter_groups(linear, rng);
  }
  return model;
}

bool holds(const Variant& variant, const Layout& layout) {
  return variant.exact.contains(layout.id);
}

/// The layouts that a hint names: "without loss: --to a, b; with …: --to c".
std::vector<std::string> named_layouts(const std::string& hint) {
  std::vector<std::string> names;
  constexpr std::string_view kTo = "--to ";
  for (std::size_t at = hint.find(kTo); at != std::string::npos; at = hint.find(kTo, at + 1)) {
    std::string word;
    for (std::size_t i = at + kTo.size(); i <= hint.size() && hint[i] != ';'; ++i) {
      const char c = i < hint.size() ? hint[i] : ',';
      if (c != ',') {
        if (c != ' ') word += c;
        continue;
      }
      names.push_back(std::exchange(word, ""));
    }
    if (!word.empty()) names.push_back(word);
  }
  return names;
}

class EveryPair : public testing::TestWithParam<Variant> {
 protected:
  const Variant& variant() const { return GetParam(); }

  /// The layouts that the made-up model can be written in: the sources.
  std::vector<const Layout*> sources() const {
    std::vector<const Layout*> all;
    for (const Layout* layout : layout::layouts()) {
      if (holds(variant(), *layout)) all.push_back(layout);
    }
    EXPECT_EQ(all.size(), variant().exact.size());
    return all;
  }

  fs::path new_folder() { return dir_.path() / std::to_string(next_++); }

  fs::path written(const Layout& layout, bool sharded) {
    const fs::path folder = new_folder();
    test::write_folder(layout, model_of(variant()), folder, sharded);
    return folder;
  }

  void expect_round_trip(const Layout& a, const Layout& b, bool sharded) {
    SCOPED_TRACE(fmt::format("{} -> {} -> {}", a.id, b.id, a.id));
    const fs::path from = written(a, sharded);
    const fs::path there = new_folder();
    const fs::path back = new_folder();
    const ConvertResult result = test::convert_folder(from, b, there, sharded);
    EXPECT_EQ(result.weight_difference, 0);
    EXPECT_EQ(result.fit.scales.changed, 0);
    EXPECT_EQ(result.output().floats.tensors, 0U);
    const test::Contents meant(from);
    test::expect_same_contents(meant, test::Contents(there));
    test::convert_folder(there, a, back, sharded);
    test::expect_same_contents(meant, test::Contents(back));
  }

  void expect_refused(const fs::path& from, const Layout& to) {
    const fs::path out = new_folder();
    try {
      test::convert_folder(from, to, out);
      ADD_FAILURE() << "written as " << to.id;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::scheme_not_supported) << error.what();
      EXPECT_GT(error.detail().size(), 20U) << "a reason people can act on";
      EXPECT_THAT(error.detail(), ::testing::Not(::testing::HasSubstr("--format")));
      expect_ways_out(from, error.hint());
    }
    EXPECT_FALSE(fs::exists(out));
  }

  /// Every layout that the refusal offers takes the model.
  void expect_ways_out(const fs::path& from, const std::string& hint) {
    const std::vector<std::string> names = named_layouts(hint);
    EXPECT_FALSE(names.empty()) << hint;
    Ids offered;
    for (const std::string& name : names) {
      SCOPED_TRACE("offered: " + name);
      const Layout& other = layout::find_layout(name);
      offered.insert(other.id);
      const ConvertResult result = test::convert_folder(from, other, new_folder());
      EXPECT_EQ(result.weight_difference, 0);
    }
    const std::string own = open_quantized(from).layout;
    for (const std::string_view id : variant().exact)
      EXPECT_TRUE(id == own || offered.contains(id)) << id << ": " << hint;
  }

 private:
  test::TemporaryFolder dir_;
  int next_ = 0;
};

TEST_P(EveryPair, ThereAndBack) {
  for (const Layout* a : sources()) {
    for (const Layout* b : sources()) {
      if (a != b) expect_round_trip(*a, *b, false);
    }
  }
}

TEST_P(EveryPair, ThereAndBackInSeveralFiles) {
  const Layout& ascend = *sources().front();
  for (const Layout* b : sources()) {
    if (b != &ascend) expect_round_trip(ascend, *b, true);
  }
}

TEST_P(EveryPair, RefusesWithAWayOut) {
  for (const Layout* a : sources()) {
    const fs::path from = written(*a, false);
    for (const Layout* b : layout::layouts()) {
      if (!kKnown.contains(b->id) || b->plain_floats || holds(variant(), *b)) continue;
      SCOPED_TRACE(fmt::format("{} -> {}", a->id, b->id));
      expect_refused(from, *b);
    }
  }
}

/// A layout that nobody has described here refuses, or states how far it moved the weights, and
/// what is read back is what it stated.
TEST_P(EveryPair, OtherLayoutsRefuseOrSayWhatTheyDid) {
  const fs::path from = written(*sources().front(), false);
  for (const Layout* b : layout::layouts()) {
    if (kKnown.contains(b->id)) continue;
    SCOPED_TRACE(b->id);
    const fs::path there = new_folder();
    try {
      const ConvertResult result = test::convert_folder(from, *b, there);
      if (result.weight_difference != 0 || b->plain_floats) continue;
      const test::Contents meant(from);
      const test::Contents found(there);
      EXPECT_EQ(found.linears.size(), meant.linears.size());
      for (const auto& [name, linear] : meant.linears) {
        EXPECT_TRUE(found.linears.at(name).codes == linear.codes) << name;
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unsupported) << error.what();
      EXPECT_FALSE(fs::exists(there));
    }
  }
}

TEST_P(EveryPair, FloatsAreWhatTheCodesStandFor) {
  const fs::path from = written(*sources().front(), false);
  const fs::path there = new_folder();
  const Layout& floats = layout::find_layout("dequantized");
  const ConvertResult result = test::convert_folder(from, floats, there);
  const auto checkpoint = floats.open(there);
  const test::Contents meant(from);
  double worst = 0;
  for (const auto& [name, linear] : meant.linears) {
    const std::vector<float> found = read_floats(*checkpoint->tensor(name + ".weight"));
    std::vector<float> row(static_cast<std::size_t>(linear.in));
    const std::int64_t step = linear.scheme.group_columns(linear.in);
    for (std::int64_t o = 0; o < linear.out; ++o) {
      for (std::int64_t first = 0; first < linear.in; first += step)
        quant::dequantize_columns(linear, o, first, step, row.data() + first);
      for (std::size_t i = 0; i < row.size(); ++i) {
        const float weight = found[static_cast<std::size_t>(o) * row.size() + i];
        ASSERT_EQ(weight, round_through(row[i], DType::f16)) << name << " " << o << " " << i;
        worst = std::max(worst, std::abs(double{weight} - double{row[i]}));
      }
    }
  }
  EXPECT_EQ(result.weight_difference, worst);
}

std::string name_of_case(const testing::TestParamInfo<Variant>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Schemes, EveryPair, testing::ValuesIn(variants()), name_of_case);

/// Scales that F16 cannot hold stay as they are between the layouts that keep their type.
TEST(PairsThatKeepTypes, WideScales) {
  const Ids keep = {"ascend", "ascend-v1", "npy", "compressed-tensors"};
  const test::TemporaryFolder dir;
  int next = 0;
  const auto folder = [&] { return dir.path() / std::to_string(next++); };
  for (const std::string_view a : keep) {
    for (const std::string_view b : keep) {
      if (a == b) continue;
      SCOPED_TRACE(fmt::format("{} -> {} -> {}", a, b, a));
      const fs::path from = folder();
      const fs::path there = folder();
      const fs::path back = folder();
      test::write_folder(layout::find_layout(a),
                         test::made_up_model(weights(4, false, 32), DType::f32), from);
      test::convert_folder(from, layout::find_layout(b), there);
      test::convert_folder(there, layout::find_layout(a), back);
      test::expect_same_contents(test::Contents(from), test::Contents(back));
    }
  }
}

}  // namespace
}  // namespace pare::pipeline
