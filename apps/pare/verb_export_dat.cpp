// pare export-dat: int8 weights as the loose files of Ascend's weight compression.
#include "core/error.h"
#include "core/params.h"
#include "param_options.h"
#include "pipeline/export_dat.h"
#include "pipeline/job.h"
#include "verb.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

namespace pare::app {
namespace {

constexpr std::array kParams = {
    ParamSpec{.name = "tier",
              .type = ParamType::choice,
              .default_value = "dense",
              .choices = "dense|fast",
              .help = "dense: near the entropy of the weights; fast: 4-bit codes and escapes, "
                      "larger, decoded faster"},
    ParamSpec{.name = "transpose",
              .type = ParamType::flag,
              .help = "cut the transposed matrices [inputs, outputs] into blocks"},
    ParamSpec{.name = "full_names",
              .type = ParamType::flag,
              .help = "call files like tensors (….weight.dat), as MindSpore's flow does, not like "
                      "modules"},
    ParamSpec{.name = "compress_disable_layers",
              .type = ParamType::list,
              .help = "weights that are cut into blocks and not compressed: names, or patterns "
                      "with * and ?"},
    ParamSpec{.name = "pseudo_sparse",
              .type = ParamType::number,
              .min = 0,
              .max = 1,
              .help = "an experiment that CHANGES weights: each is kept with this probability and "
                      "set to zero otherwise"},
    ParamSpec{.name = "seed",
              .type = ParamType::integer,
              .default_value = "0",
              .min = 0,
              .max = 9e15,
              .help = "of the random numbers of --pseudo-sparse"},
    ParamSpec{.name = "verbose",
              .type = ParamType::flag,
              .help = "one line per weight: bytes before and after, and their ratio"},
};

struct Options {
  pipeline::ExportDatJob job;
  ParamMap values;
};

void read_params(Session& session, Options& options) {
  const ParamMap& values = options.values;
  pipeline::ExportDatJob& job = options.job;
  job.tier = values.text("tier") == "fast" ? codec::Tier::fast : codec::Tier::dense;
  job.transpose = values.flag("transpose");
  job.full_names = values.flag("full_names");
  job.disable = values.list("compress_disable_layers");
  if (values.given("pseudo_sparse")) {
    job.sparse = pipeline::PseudoSparse{values.number("pseudo_sparse"),
                                        static_cast<std::uint64_t>(values.integer("seed"))};
    session.ctx.warning(
        fmt::format("--pseudo-sparse changes the model: about {:.4g} % of the weights written "
                    "become zero",
                    100 * (1 - job.sparse->ratio)));
  } else if (values.given("seed")) {
    throw Error(ErrorCode::bad_usage, "--seed is of no use alone")
        .at("pare export-dat")
        .hint("it belongs to --pseudo-sparse");
  }
}

double ratio_of(std::size_t to, std::size_t from) {
  return from == 0 ? 1 : static_cast<double>(to) / static_cast<double>(from);
}

void show_weights(Console& console, const pipeline::ExportDatResult& result) {
  std::size_t width = 0;
  for (const pipeline::DatWeight& w : result.weights)
    width = std::max(width, w.key.size());
  for (const pipeline::DatWeight& w : result.weights) {
    const auto from = static_cast<std::size_t>(w.rows * w.columns);
    console.result(fmt::format("  {:<{}} {:>12} {:>12}  {:.4f}{}", w.key, width, from, w.stored,
                               ratio_of(w.stored, from), w.coded ? "" : "  not compressed"));
  }
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
