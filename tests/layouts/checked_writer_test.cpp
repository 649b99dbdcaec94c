// What writers are held to: every entry of the plan once, as planned.
#include "layouts/checked_writer.h"

#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace pare::layout {
namespace {

using ::testing::HasSubstr;

/// Counts what gets through, and whether two calls ever meet.
class CountingWriter final : public Writer {
 public:
  void put_tensor(const std::string& /*name*/, const TensorView& /*tensor*/,
                  const GiveBack& /*give_back*/) override {
    count();
  }
  void put_linear(const quant::QuantizedLinear& linear) override {
    count();
    if (linear.codes.front() == 99) throw Error(ErrorCode::out_of_range, "no place");
  }
  std::vector<std::string> finish() override { return {"weights"}; }

  static inline int calls = 0;
  static inline int most_at_once = 0;

 private:
  static void count() {
    static std::atomic<int> inside{0};
    ++calls;
    most_at_once = std::max(most_at_once, ++inside);
    std::this_thread::yield();
    --inside;
  }
};

std::unique_ptr<Writer> create(const OutputPlan& /*plan*/, const std::filesystem::path& /*folder*/,
                               const ParamMap& /*params*/) {
  CountingWriter::calls = 0;
  CountingWriter::most_at_once = 0;
  return std::make_unique<CountingWriter>();
}

quant::QuantizedLinear linear_of(std::int64_t out, std::int64_t in) {
  quant::QuantizedLinear q;
  q.name = "a";
  q.out = out;
  q.in = in;
  quant::allocate(q);
  return q;
}

class Checked : public testing::Test {
 protected:
  Checked() {
    layout_.create = create;
    plan_.layout = &layout_;
    plan_.entries.push_back({.linear = linear_of(4, 8).header(), .tensor = {}});
    plan_.entries.push_back({.linear = std::nullopt, .tensor = {"norm.weight", DType::f16, {8}}});
  }

  Layout layout_{};
  OutputPlan plan_;
  const Tensor norm_{DType::f16, {8}};
};

TEST_F(Checked, PassesOnWhatIsPlanned) {
  CheckedWriter writer(plan_, {}, {});
  EXPECT_EQ(writer.planned("a").in, 8);
  writer.put_linear(linear_of(4, 8));
  writer.put_tensor("norm.weight", norm_.view());
  EXPECT_EQ(CountingWriter::calls, 2);
  EXPECT_THAT(writer.finish(), testing::ElementsAre("weights"));
}

TEST_F(Checked, RefusesTensorsThatDiffer) {
  CheckedWriter writer(plan_, {}, {});
  const Tensor wide(DType::f32, {8});
  const Tensor longer(DType::f16, {9});
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_tensor("other", norm_.view())),
              HasSubstr("other is not in the plan"));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_tensor("norm.weight", wide.view())),
              HasSubstr("is F32 [8], the plan says F16 [8]"));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_tensor("norm.weight", longer.view())),
              HasSubstr("is F16 [9], the plan says F16 [8]"));
  EXPECT_EQ(CountingWriter::calls, 0);
}

TEST_F(Checked, RefusesLinearsThatDiffer) {
  CheckedWriter writer(plan_, {}, {});
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_linear(linear_of(8, 4))),
              HasSubstr("[8, 4], the plan says"));
  quant::QuantizedLinear narrow = linear_of(4, 8);
  narrow.scheme.weight_bits = 4;
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_linear(narrow)), HasSubstr("the plan says"));
  narrow.name = "b";
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_linear(narrow)),
              HasSubstr("b is not in the plan"));
  quant::QuantizedLinear typed = linear_of(4, 8);
  typed.scale_dtype = DType::bf16;
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_linear(typed)), HasSubstr("in its types"));
  EXPECT_EQ(CountingWriter::calls, 0);
}

/// Each part that the header does not promise, or promises and is not there.
TEST_F(Checked, RefusesPartsThatDoNotFitTheHeader) {
  CheckedWriter writer(plan_, {}, {});
  const auto refused = [&](const std::function<void(quant::QuantizedLinear&)>& change) {
    quant::QuantizedLinear q = linear_of(4, 8);
    change(q);
    return PARE_ERROR_TEXT(internal, writer.put_linear(q));
  };
  EXPECT_THAT(refused([](auto& q) { q.codes.pop_back(); }), HasSubstr("number of codes"));
  EXPECT_THAT(refused([](auto& q) { q.scales.pop_back(); }), HasSubstr("number of scales"));
  EXPECT_THAT(refused([](auto& q) { q.zeros.push_back(0); }), HasSubstr("number of scales"));
  EXPECT_THAT(refused([](auto& q) { q.row_scales = {1, 1, 1, 1}; }), HasSubstr("scales per row"));
  EXPECT_THAT(refused([](auto& q) { q.group_index.assign(8, 0); }), HasSubstr("order of the"));
  EXPECT_THAT(refused([](auto& q) { q.exponent = 2; }), HasSubstr("exponent"));
  EXPECT_THAT(refused([](auto& q) { q.bias = Tensor(DType::f32, {4}); }), HasSubstr("of a bias"));
  EXPECT_THAT(refused([](auto& q) { q.input.emplace(); }), HasSubstr("activation parameters"));
}

TEST_F(Checked, RefusesWhatComesTwiceOrNever) {
  CheckedWriter writer(plan_, {}, {});
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.finish()), HasSubstr("a was never given"));
  writer.put_linear(linear_of(4, 8));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.finish()), HasSubstr("norm.weight was never given"));
  writer.put_tensor("norm.weight", norm_.view());
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_linear(linear_of(4, 8))),
              HasSubstr("a was given twice"));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.put_tensor("norm.weight", norm_.view())),
              HasSubstr("norm.weight was given twice"));
}

TEST_F(Checked, NamesTheLinearOfARefusal) {
  CheckedWriter writer(plan_, {}, {});
  quant::QuantizedLinear q = linear_of(4, 8);
  q.codes.front() = 99;
  EXPECT_THAT(PARE_ERROR_TEXT(out_of_range, writer.put_linear(q)), HasSubstr("a"));
}

TEST_F(Checked, GivesAWriterOneCallAtATime) {
  plan_.entries.clear();
  for (int i = 0; i < 200; ++i) {
    plan_.entries.push_back({std::nullopt, {std::to_string(i), DType::f16, {8}}});
  }
  CheckedWriter writer(plan_, {}, {});
  const Context ctx(4);
  ctx.parallel_for(200,
                   [&](std::int64_t i) { writer.put_tensor(std::to_string(i), norm_.view()); });
  EXPECT_EQ(CountingWriter::calls, 200);
  EXPECT_EQ(CountingWriter::most_at_once, 1);
}

}  // namespace
}  // namespace pare::layout
