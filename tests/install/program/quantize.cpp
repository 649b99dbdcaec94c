// A program of its own on the library: quantizes a model folder to 8 bits. README.md shows it.
#include <pare/error.h>
#include <pare/quantize.h>

#include <cstdio>
#include <string_view>

namespace {

/// The library never prints; what it has to say comes here.
class Voice final : public pare::Listener {
 public:
  void warning(std::string_view line) override { print("warning: ", line); }
  void progress(const pare::Progress& at) override { print(at.stage, " " + at.item); }

 private:
  static void print(std::string_view what, std::string_view rest) {
    std::fprintf(stderr, "%.*s%.*s\n", static_cast<int>(what.size()), what.data(),
                 static_cast<int>(rest.size()), rest.data());
  }
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) return 2;  // MODEL CALIBRATION OUT
  Voice voice;
  const pare::Context ctx(0, &voice);  // 0 threads: as many as there are cores
  pare::Job job{.model = argv[1], .out = argv[3], .params = {}, .run = {}};
  pare::set_param(job.params, "scheme", "w8a8");
  pare::set_param(job.params, "calib", argv[2]);
  const pare::QuantizePlan plan(ctx, job);
  for (const std::string& line : plan.lines())
    std::puts(line.c_str());
  const pare::QuantizeReport report = plan.run(ctx);
  for (const std::string& line : report.lines)
    std::puts(line.c_str());
  return 0;
} catch (const pare::Error& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return pare::exit_code_of(failure.kind());
}
