// Runs the fuzzer's entry point over a folder of inputs and over damaged copies of them, without
// libFuzzer. Usage: pare_fuzz_smoke FOLDER SECONDS
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

std::vector<Bytes> read_all(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> inputs;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

Bytes damaged(Bytes bytes, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return random() % n; };
  for (std::size_t times = 1 + below(4); times > 0 && !bytes.empty(); --times)
    bytes[below(bytes.size())] ^= static_cast<std::uint8_t>(1U << below(8));
  if (below(8) == 0) bytes.resize(below(bytes.size() + 1));
  if (!bytes.empty() && below(8) != 0) bytes[0] |= 1;  // checksums put right
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: pare_fuzz_smoke FOLDER SECONDS\n");
    return 2;
  }
  const std::vector<Bytes> inputs = read_all(argv[1]);
  if (inputs.empty()) {
    std::fprintf(stderr, "no inputs in %s\n", argv[1]);
    return 1;
  }
  for (const Bytes& input : inputs)
    LLVMFuzzerTestOneInput(input.data(), input.size());
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(std::atof(argv[2]));
  std::mt19937 random(1);
  std::size_t runs = inputs.size();
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    const Bytes bytes = damaged(inputs[random() % inputs.size()], random);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%zu inputs\n", runs);
}
