// transformers: what it reads.
#include "check/layouts.h"
#include "check/target.h"

#include <array>

namespace pare::check {
namespace {

constexpr std::array kLayouts = {kFloat, kAwq, kGptq, kCt};

}  // namespace

extern const Target transformers_target;
constinit const Target transformers_target = {
    .id = "transformers",
    .summary = "Hugging Face transformers with the quantizer library that config.json names",
    .layouts = kLayouts,
    .source = "transformers 4.51 to 5.17, quantizers auto, awq, gptq, compressed-tensors",
};

}  // namespace pare::check
