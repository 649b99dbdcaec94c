// Tensors for the codec's benchmark: made-up weights, quantized or in bf16.
#pragma once

#include "codec/distributions.h"  // of tests/
#include "core/half.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pare::bench {

/// One tensor. `unit` bytes are made and repeated: far enough apart that no window reaches back.
struct Data {
  std::string name;
  std::function<test::Bytes(std::size_t)> make;
  bool bf16 = false;
  double most_over =
      1.5;  // percent over the entropy that is still within the target; 0 = no target
};

inline test::Bytes bf16_weights(std::size_t bytes) {
  test::WeightSource source(test::WeightSource::gauss, 5);
  test::Bytes out(bytes);
  for (std::size_t i = 0; i + 1 < bytes; i += 2) {
    const auto value = static_cast<float>(0.02 * source.next());
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    bits += 0x7FFF + (bits >> 16 & 1);  // to nearest, ties to even
    out[i] = static_cast<std::byte>(bits >> 16);
    out[i + 1] = static_cast<std::byte>(bits >> 24);
  }
  return out;
}

inline std::vector<Data> all_data() {
  using Kind = test::WeightSource::Kind;
  std::vector<Data> out;
  for (const auto& [kind, name] : {std::pair(Kind::gauss, "gauss"), std::pair(Kind::t4, "t4")}) {
    for (const bool spread : {false, true}) {
      for (const double f : {0.01, 0.05, 0.10}) {
        const std::string title = std::string(name) + (f < 0.02   ? " 1% out"
                                                       : f < 0.07 ? " 5% out"
                                                                  : " 10% out");
        out.push_back({title + (spread ? " spread" : ""),
                       [=](std::size_t bytes) {
                         return test::sparse_codes(kind, f, spread, bytes / 4096, 4096, 7);
                       },
                       false, f < 0.07 ? 1.5 : 0});
      }
    }
  }
  for (const auto& [kind, name] :
       {std::pair(Kind::gauss, "gauss"), std::pair(Kind::laplace, "Laplace")}) {
    for (const double bits : {1.5, 2.0, 3.0, 4.0, 5.0, 6.0}) {
      const std::string width = bits < 1.9 ? "1.5" : std::to_string(static_cast<int>(bits));
      out.push_back({std::string(name) + " " + width + " bits",
                     [=](std::size_t bytes) { return test::plain_codes(kind, bits, bytes, 11); }});
    }
  }
  out.push_back({"bf16 gauss", bf16_weights, true, 0});
  return out;
}

}  // namespace pare::bench
