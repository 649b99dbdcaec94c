// pare export-dat: int8 weights as the loose files of Ascend's weight compression.
#include "options/add_options.h"
#include "options/coded_items.h"
#include "pare/convert.h"
#include "pare/job.h"
#include "verb.h"

#include <fmt/format.h>

#include <memory>
#include <vector>

namespace pare::app {
namespace {

struct Options {
  Job job;
  ParamMap values;
};

void show_weights(Console& console, const ExportDatResult& result) {
  std::vector<CodedItem> items;
  for (const DatWeight& w : result.weights) {
    const auto from = static_cast<std::size_t>(w.rows * w.columns);
    items.push_back({w.key, from, w.stored, w.coded ? "" : "not compressed"});
  }
  show_coded(console, items);
}

int run(Session& session, const Options& options) {
  const ExportDatResult result = export_dat(session.ctx, options.job);
  session.console.end_progress();
  if (options.values.flag("verbose")) show_weights(session.console, result);
  session.console.result(fmt::format("  weights    {} written, {} other tensors left out, {:.1f} s",
                                     result.weights.size(), result.left_out, result.seconds));
  session.console.result(fmt::format("  final ratio {:.4f} (from {} to {} bytes)", result.ratio(),
                                     result.from, result.to));
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "MODEL", options->job.model,
             "quantized folder, compressed or not, or one quant_weight.npy", {.required = true});
  add_option(app, "-o,--out", options->job.out, "folder to make; must not exist unless --force",
             {.required = true});
  add_params(app, dat_params(), options->job.params);
  add_params(app, codec_params(), options->job.params);
  add_params(app, kVerboseParam, options->values);
  add_flag(app, "--force", options->job.run.overwrite,
           "replace an output folder that pare made before");
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
