// The proof after writing: it accepts what was meant and finds what is not.
#include "pipeline/output/verify.h"

#include "pare/error.h"
#include "pipeline/quantize/inventory.h"
#include "pipeline/quantize/quantize.h"
#include "support/temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace pare::pipeline {
namespace {

/// Tensors that were checked. Errors: verify_failed.
std::size_t verify(const Context& ctx, const Plan& plan, const QuantizeResult& result) {
  OutputRecord record;
  const RunPlan run{.out = plan.job.out,
                    .outputs = plan.outputs,
                    .params = &plan.job.params,
                    .floats = float_source(plan)};
  verify_output(ctx, run, 0, result.run.linears, plan.job.out, record);
  return record.verified_tensors;
}

/// A golden model quantized to w8a16, with everything verification is held against.
class Verify : public ::testing::Test {
 protected:
  void SetUp() override {
    Job job;
    job.model = std::filesystem::path(PARE_SOURCE_DIR) / "tests/golden/models/llama-gqa";
    job.out = dir_.path() / "out";
    job.params.set(recipe_params().front(), "w8a16", "test");
    job.params.fill_defaults(recipe_params());
    plan_ = make_plan(ctx_, job);
    result_ = run_plan(ctx_, plan_);
  }

  ErrorCode failure() const {
    try {
      verify(ctx_, plan_, result_);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;  // stands for "accepted"
  }

  /// Flips one bit of the weight file, counted from its end: data, never the header.
  void flip_bit_from_end(std::streamoff distance) const {
    const auto file = plan_.job.out / "quant_model_weight_w8a16.safetensors";
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(-distance, std::ios::end);
    const int byte = stream.get();
    stream.seekp(-distance, std::ios::end);
    stream.put(static_cast<char>(byte ^ 1));
  }

  test::TempDir dir_;
  Context ctx_{2};
  Plan plan_;
  QuantizeResult result_;
};

TEST_F(Verify, AcceptsWhatWasMeant) {
  EXPECT_GT(verify(ctx_, plan_, result_), 0U);
}

TEST_F(Verify, FindsAFlippedBitOfACode) {
  flip_bit_from_end(1);  // int8 codes lie last: tensors go by element size
  EXPECT_EQ(failure(), ErrorCode::verify_failed);
}

TEST_F(Verify, FindsAFlippedBitOfACopiedTensor) {
  std::size_t codes = 0;
  for (const LinearRecord& linear : result_.run.linears) {
    codes += static_cast<std::size_t>(linear.out * linear.in);
  }
  flip_bit_from_end(static_cast<std::streamoff>(codes) + 4);  // the last F32 tensor is a copied norm
  EXPECT_EQ(failure(), ErrorCode::verify_failed);
}

TEST_F(Verify, FindsOtherCodesThanMeant) {
  result_.run.linears.front().contents.front() ^= 1;
  EXPECT_EQ(failure(), ErrorCode::verify_failed);
}

TEST_F(Verify, FindsAMissingLinear) {
  result_.run.linears.pop_back();
  EXPECT_EQ(failure(), ErrorCode::verify_failed);
}

TEST_F(Verify, FindsAWeightFartherOffThanItsStep) {
  LinearRecord& linear = result_.run.linears.front();
  EXPECT_LE(linear.weight.max_abs_error, linear.error_bound);
  linear.weight.max_abs_error = std::nextafter(linear.error_bound, 1e9);
  EXPECT_EQ(failure(), ErrorCode::verify_failed);
}

/// The demo's schemes whose files hold more than codes and scales.
class VerifyDerived : public ::testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  void SetUp() override {
    const auto model = std::filesystem::path(PARE_SOURCE_DIR) / "tests/golden/models/llama-gqa";
    job_.model = model;
    job_.out = dir_.path() / "out";
    set("scheme", GetParam().first);
    set("format", "ascend-v1");
    if (std::string(GetParam().first) == "w8a8s") {
      set("calib", (model / "input_ids.jsonl").string());
    } else {
      set("group_size", "32");
    }
    job_.params.fill_defaults(recipe_params());
    plan_ = make_plan(ctx_, job_);
    result_ = run_plan(ctx_, plan_);
  }

  void set(std::string_view name, const std::string& value) {
    for (const ParamSpec& spec : recipe_params()) {
      if (spec.name == name) job_.params.set(spec, value, "test");
    }
  }

  test::TempDir dir_;
  Context ctx_{2};
  Job job_;
  Plan plan_;
  QuantizeResult result_;
};

/// Flips the lowest bit of the first value of a tensor in the written file.
void flip_lowest_bit(const std::filesystem::path& folder, const std::string& part) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    std::filesystem::permissions(entry.path(), std::filesystem::perms(0600));
    std::fstream stream(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    std::uint64_t length = 0;
    stream.read(reinterpret_cast<char*>(&length), 8);
    std::string header(length, ' ');
    stream.read(header.data(), static_cast<std::streamsize>(length));
    const std::size_t name = header.find("q_proj." + part);
    const std::size_t offsets = header.find("data_offsets\":[", name) + 15;
    const std::streamoff at = 8 + static_cast<std::streamoff>(length) +
                              std::stoll(header.substr(offsets));
    stream.seekg(at);
    const int byte = stream.get();
    stream.seekp(at);
    stream.put(static_cast<char>(byte ^ 1));
  }
}

TEST_P(VerifyDerived, FindsTheLowestBitOfWhatFollowsFromCodesAndScales) {
  EXPECT_GT(verify(ctx_, plan_, result_), 0U);
  flip_lowest_bit(plan_.job.out, GetParam().second);
  try {
    verify(ctx_, plan_, result_);
    FAIL() << "accepted a flipped bit of " << GetParam().second;
  } catch (const Error& error) {
    // Codes that contradict scale_bias are refused by the reader already.
    const bool by_reader = error.code() == ErrorCode::bad_description;
    EXPECT_TRUE(by_reader || error.code() == ErrorCode::verify_failed) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Parts, VerifyDerived,
    ::testing::Values(std::pair{"w8a8s", "deq_scale"}, std::pair{"w8a8s", "quant_bias"},
                      std::pair{"w4a8-dynamic", "scale_bias"},
                      std::pair{"w4a8-dynamic", "weight_scale"},
                      std::pair{"w4a8-dynamic", "weight\""}),
    [](const auto& param_info) {
      std::string name = std::string(param_info.param.first) + "_" + param_info.param.second;
      std::replace_if(
          name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
      return name;
    });

}  // namespace
}  // namespace pare::pipeline
