// Decodes arbitrary info, index and payload with every variant of the codec's kernels. Whatever the
// bytes are: no variant may leave its buffers, and all must agree, on the bytes or on the error.
// An entry point of libFuzzer; smoke_main.cpp calls it where there is none.
#include "codec/rans/kernel_choice.h"
#include "fuzz/codec_input.h"
#include "pare/codec.h"
#include "pare/error.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace pare::codec::detail {
namespace {

const CodecKernels* chosen = &kScalarKernels;

}  // namespace

// In place of kernel_choice.cpp, which chooses once and for all.
std::vector<NamedKernels> available_kernels() {
  std::vector<NamedKernels> found = {{"scalar", &kScalarKernels}};
#if defined(__x86_64__) && !defined(PARE_SCALAR_ONLY)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) found.push_back({"avx2", &kAvx2Kernels});
  if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi2")) {
    found.push_back({"avx512vbmi2", &kAvx512Vbmi2Kernels});
  }
#endif
  return found;
}

const CodecKernels& current_kernels() { return *chosen; }

}  // namespace pare::codec::detail

namespace {

using namespace pare;

constexpr std::size_t kMostBytes = std::size_t{1} << 20;  // larger ones only take longer

/// What decoding came to: the bytes of every call that worked, the message of every other.
struct Outcome {
  std::vector<std::vector<std::byte>> bytes;
  std::vector<std::string> errors;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

template <typename Fn>
void attempt(Outcome& outcome, std::size_t size, Fn&& decode) {
  std::vector<std::byte> out(size);
  try {
    decode(std::span<std::byte>(out));
    outcome.bytes.push_back(std::move(out));
  } catch (const Error& error) {
    outcome.errors.emplace_back(error.what());
  }
}

Outcome decode_all(const fuzz::CodecInput& input) {
  Outcome outcome;
  try {
    const codec::TensorDecoder decoder(input.info, input.index, input.payload);
    if (decoder.bytes() > kMostBytes) return outcome;
    codec::Scratch scratch;
    for (std::int64_t tile = 0; tile < decoder.tiles(); ++tile) {
      attempt(outcome, decoder.tile_bytes(tile),
              [&](auto out) { decoder.decode_tiles(tile, 1, out, scratch); });
    }
    attempt(outcome, decoder.bytes(),
            [&](auto out) { decoder.decode_tiles(0, decoder.tiles(), out, scratch); });
    static const Context alone(1);
    attempt(outcome, decoder.bytes(), [&](auto out) { decoder.decode(alone, out); });
  } catch (const Error& error) {
    outcome.errors.emplace_back(error.what());
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::CodecInput input;
  if (!fuzz::read_input({data, size}, input)) return 0;
  Outcome expected;
  for (const auto& variant : codec::detail::available_kernels()) {
    codec::detail::chosen = variant.kernels;
    Outcome outcome = decode_all(input);
    if (variant.name == "scalar") {
      expected = std::move(outcome);
    } else if (!(outcome == expected)) {
      std::fprintf(stderr, "%s and scalar decode differently\n", variant.name.data());
      std::abort();
    }
  }
  return 0;
}
