// pare export-dat: int8 weights as the loose files of Ascend's weight compression.
#include "codec_options.h"
#include "param_options.h"
#include "pare/job.h"
#include "pipeline/pack/export_dat.h"
#include "pipeline/quantize/job.h"
#include "verb.h"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

namespace pare::app {
namespace {

constexpr std::array kParams = {
    ParamSpec{.name = "transpose",
              .type = ParamType::flag,
              .help = "cut the transposed matrices [inputs, outputs] into blocks"},
    ParamSpec{.name = "full_names",
              .type = ParamType::flag,
              .help = "call files like tensors (….weight.dat), as MindSpore's flow does, not like "
                      "modules"},
};

struct Options {
  pipeline::ExportDatJob job;
  ParamMap values;
};

void read_params(Session& session, Options& options) {
  pipeline::ExportDatJob& job = options.job;
  job.transpose = options.values.flag("transpose");
  job.full_names = options.values.flag("full_names");
  CodecOptions codec = read_codec_options(session.ctx, options.values, "export-dat");
  job.tier = codec.tier;
  job.disable = std::move(codec.disable);
  job.sparse = codec.sparse;
}

void show_weights(Console& console, const pipeline::ExportDatResult& result) {
  std::vector<CodedItem> items;
  for (const pipeline::DatWeight& w : result.weights) {
    const auto from = static_cast<std::size_t>(w.rows * w.columns);
    items.push_back({w.key, from, w.stored, w.coded ? "" : "not compressed"});
  }
  show_coded(console, items);
}

int run(Session& session, Options& options) {
  read_params(session, options);
  const pipeline::ExportDatResult result = pipeline::export_dat(session.ctx, options.job);
  session.console.end_progress();
  if (options.values.flag("verbose")) show_weights(session.console, result);
  session.console.result(fmt::format("  weights    {} written, {} other tensors left out, {:.1f} s",
                                     result.weights.size(), result.left_out, result.seconds));
  session.console.result(fmt::format("  final ratio {:.4f} (from {} to {} bytes)",
                                     ratio_of(result.to, result.from), result.from, result.to));
  session.ctx.event("done", io::Json{{"out", options.job.out.string()},
                                     {"weights", result.weights.size()},
                                     {"left_out", result.left_out},
                                     {"from", result.from},
                                     {"to", result.to},
                                     {"ratio", ratio_of(result.to, result.from)},
                                     {"seconds", result.seconds}}
                                .dump());
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->job.model,
                 "quantized folder, compressed or not, or one quant_weight.npy")
      ->required();
  app.add_option("-o,--out", options->job.out, "folder to make; must not exist unless --force")
      ->required();
  add_params(app, kParams, options->values);
  add_params(app, codec_params(), options->values);
  app.add_flag("--force", options->job.overwrite, "replace an output folder that pare made before");
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

extern const Verb verb_export_dat;
const Verb verb_export_dat = {
    .name = "export-dat",
    .summary = "compressed int8 weights as loose .dat files in Ascend's block order",
    .description =
        "Cuts every int8 weight matrix into blocks of 16 x 32 (NZ order, padded with zeros), "
        "compresses it, and writes weight/, index/ and info/KEY.dat as Ascend's weight compression "
        "names them, and codec/KEY.dat, which a decoder needs. The compressed bytes are Pare's own "
        "stream, not that of Ascend's toolkit: docs/formats/packed.md says how to read them back. "
        "Nothing is asked on standard input; pickled dictionaries are read without running them.",
    .examples =
        "pare export-dat llama-w8a8s -o dat --verbose\n"
        "pare export-dat llama-npy/quant_weight.npy -o dat --full-names\n"
        "pare export-dat llama-w8a8s -o dat --compress-disable-layers \"*.down_proj\"",
    .json = JsonOutput::events,
    .declare = declare,
};

}  // namespace pare::app
