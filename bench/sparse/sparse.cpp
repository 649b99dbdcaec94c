// Times the sparse methods on a weight that compare_numpy.py wrote, one line of input per run.
// Usage: pare_bench_sparse WEIGHT.f32 ROWS COLUMNS bf16|f32 THREADS; then lines on standard input:
//   METHOD tensor|channel [NAME=VALUE]…   prints the seconds of one quantization
//   codes FILE                            writes the codes of the last one
#include "../timing.h"
#include "pare/error.h"
#include "quant/method.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace pare::bench {
namespace {

Tensor read_weight(const std::string& path, std::int64_t rows, std::int64_t columns, DType dtype) {
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file) throw std::runtime_error("cannot read " + path);
  return store_floats(values, dtype, {rows, columns});
}

/// "METHOD tensor|channel NAME=VALUE…": what is to be run.
struct Request {
  const quant::Method& method;
  quant::Scheme scheme;
  ParamMap params;

  Request(const std::string& id, std::istream& rest) : method(quant::find_method(id)) {
    scheme.form = quant::CodeForm::outliers;
    scheme.activations = quant::Activations::static_tensor;
    std::string word;
    rest >> word;
    if (word == "tensor") scheme.granularity = quant::Granularity::tensor;
    while (rest >> word) {
      const std::size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      const auto spec = std::find_if(method.params.begin(), method.params.end(),
                                     [&](const ParamSpec& s) { return s.name == name; });
      if (spec == method.params.end()) throw std::runtime_error("no parameter " + name);
      params.set(*spec, word.substr(equals + 1), "benchmark");
    }
  }
};

void serve(const Context& ctx, const Tensor& weight) {
  std::puts(cpu_name().c_str());
  std::fflush(stdout);
  quant::QuantizedLinear last;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    double seconds = 0;
    if (first == "codes") {
      words >> first;
      std::ofstream(first, std::ios::binary)
          .write(reinterpret_cast<const char*>(last.codes.data()),
                 static_cast<std::streamsize>(last.codes.size()));
    } else {
      const Request request(first, words);
      last = {};  // its memory is given back before the next run, as between layers
      seconds = seconds_of([&] {
        last = request.method.quantize(ctx,
                                       {weight.view(), request.scheme, DType::f32, request.params});
      });
    }
    std::printf("%.6f\n", seconds);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace pare::bench

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: %s WEIGHT.f32 ROWS COLUMNS bf16|f32 THREADS\n", argv[0]);
    return 2;
  }
  try {
    const pare::DType dtype = std::string(argv[4]) == "bf16" ? pare::DType::bf16 : pare::DType::f32;
    const pare::Context ctx(std::atoi(argv[5]));
    pare::bench::serve(
        ctx, pare::bench::read_weight(argv[1], std::atoll(argv[2]), std::atoll(argv[3]), dtype));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
