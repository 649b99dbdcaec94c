// Repeated, interleaved timing: what every benchmark prints is the median of its rounds.
#pragma once

#include "pare/tensor.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace pare::bench {

inline double seconds_of(const std::function<void()>& fn) {
  const auto start = std::chrono::steady_clock::now();
  fn();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// One thing to time; rounds go through all sides in turn, so that a drifting machine hits all.
struct Side {
  std::string name;
  std::function<void()> fn;
  std::vector<double> seconds = {};
};

inline void interleave(std::vector<Side>& sides, int rounds) {
  for (Side& side : sides)
    side.fn();  // warm-up
  for (int round = 0; round < rounds; ++round) {
    for (Side& side : sides)
      side.seconds.push_back(seconds_of(side.fn));
  }
}

/// Median over rounds of time(a) / time(b) within the same round.
inline double ratio(const Side& a, const Side& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a.seconds.size(); ++i)
    ratios.push_back(a.seconds[i] / b.seconds[i]);
  return median(ratios);
}

/// The processor's name as /proc/cpuinfo has it.
inline std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown CPU";
}

/// Made-up values in [-1, 1), never zero throughout: data that is all alike may run faster.
inline void fill(Matrix& m, std::uint64_t seed, float scale = 1.0F) {
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (float& v : m.values()) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    v = scale * (static_cast<float>(state >> 40) / 8388608.0F - 1.0F);
  }
}

}  // namespace pare::bench
