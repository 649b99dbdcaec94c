// llama.cpp: what it reads.
#include "check/layouts.h"
#include "check/target.h"

#include <array>

namespace pare::check {
namespace {

constexpr std::array kLayouts = {kGguf};

}  // namespace

extern const Target llama_cpp_target;
constinit const Target llama_cpp_target = {
    .id = "llama.cpp",
    .summary = "llama.cpp and what is built on it: GGUF",
    .layouts = kLayouts,
    .source = "ggml d99724f, llama.cpp of node-llama-cpp 3.22.1",
};

}  // namespace pare::check
