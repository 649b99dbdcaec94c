// What writers hold their input against: every item of the plan once, as planned.
#include "layouts/checked_writer.h"

#include "support/expect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pare::layout {
namespace {

using ::testing::HasSubstr;

OutputPlan small_plan() {
  OutputPlan plan;
  plan.entries.push_back({.linear = quant::LinearHeader{.name = "a", .out = 4, .in = 8}, .tensor = {}});
  plan.entries.push_back({.linear = std::nullopt, .tensor = {"norm.weight", DType::f16, {8}}});
  return plan;
}

quant::QuantizedLinear linear_of(std::int64_t out, std::int64_t in) {
  quant::QuantizedLinear q;
  q.name = "a";
  q.out = out;
  q.in = in;
  return q;
}

TEST(OutputChecklist, GiveThePlanOfWhatArrives) {
  OutputChecklist items(small_plan());
  EXPECT_EQ(items.take_linear(linear_of(4, 8)).in, 8);
  EXPECT_EQ(items.take_tensor("norm.weight", Tensor(DType::f16, {8}).view()).dtype, DType::f16);
  items.require_all();
}

TEST(OutputChecklist, RefuseWhatDiffersFromThePlan) {
  OutputChecklist items(small_plan());
  const Tensor norm(DType::f16, {8});
  const Tensor wide(DType::f32, {8});
  const Tensor longer(DType::f16, {9});
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.take_tensor("other", norm.view())),
              HasSubstr("other is not in the plan"));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.take_tensor("norm.weight", wide.view())),
              HasSubstr("is F32 [8], the plan says F16 [8]"));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.take_tensor("norm.weight", longer.view())),
              HasSubstr("is F16 [9], the plan says F16 [8]"));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.take_linear(linear_of(8, 4))),
              HasSubstr("[8, 4], the plan says"));
  quant::QuantizedLinear narrow = linear_of(4, 8);
  narrow.scheme.weight_bits = 4;
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.take_linear(narrow)), HasSubstr("the plan says"));
  narrow.name = "b";
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.take_linear(narrow)),
              HasSubstr("b is not in the plan"));
}

TEST(OutputChecklist, RefuseWhatComesTwiceOrNever) {
  OutputChecklist items(small_plan());
  const Tensor norm(DType::f16, {8});
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.require_all()), HasSubstr("a was never given"));
  items.take_linear(linear_of(4, 8));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.require_all()),
              HasSubstr("norm.weight was never given"));
  items.take_tensor("norm.weight", norm.view());
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.take_linear(linear_of(4, 8))),
              HasSubstr("a was given twice"));
  EXPECT_THAT(PARE_ERROR_TEXT(internal, items.take_tensor("norm.weight", norm.view())),
              HasSubstr("norm.weight was given twice"));
}

}  // namespace
}  // namespace pare::layout
