// pare compress: the weights of a folder, smaller and without loss.
#include "core/error.h"
#include "core/params.h"
#include "param_options.h"
#include "pipeline/compress.h"
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
    ParamSpec{.name = "compress_disable_layers",
              .type = ParamType::list,
              .help = "tensors or modules that stay as they are: names, or patterns with * and ?"},
    ParamSpec{.name = "pseudo_sparse",
              .type = ParamType::number,
              .min = 0,
              .max = 1,
              .help = "an experiment that CHANGES weights: int8 weights are kept with this "
                      "probability and set to zero otherwise, to see what they would compress to"},
    ParamSpec{.name = "seed",
              .type = ParamType::integer,
              .default_value = "0",
              .min = 0,
              .max = 9e15,
              .help = "of the random numbers of --pseudo-sparse"},
    ParamSpec{.name = "verbose",
              .type = ParamType::flag,
              .help = "one line per tensor: bytes before and after, and their ratio"},
};

struct Options {
  pipeline::CompressJob job;
  ParamMap values;
};

void read_params(Options& options) {
  const ParamMap& values = options.values;
  pipeline::CompressJob& job = options.job;
  job.tier = values.text("tier") == "fast" ? codec::Tier::fast : codec::Tier::dense;
  job.disable = values.list("compress_disable_layers");
  if (values.given("pseudo_sparse")) {
    job.sparse = pipeline::PseudoSparse{values.number("pseudo_sparse"),
                                        static_cast<std::uint64_t>(values.integer("seed"))};
  } else if (values.given("seed")) {
    throw Error(ErrorCode::bad_usage, "--seed is of no use alone")
        .at("pare compress")
        .hint("it belongs to --pseudo-sparse");
  }
}

void show_tensors(Console& console, const pipeline::CompressResult& result) {
  std::size_t width = 0;
  for (const pipeline::CompressedTensor& t : result.tensors)
    width = std::max(width, t.name.size());
  for (const pipeline::CompressedTensor& t : result.tensors) {
    const double ratio = t.from == 0 ? 1 : static_cast<double>(t.to) / static_cast<double>(t.from);
    console.result(fmt::format("  {:<{}} {:>12} {:>12}  {:.4f}{}", t.name, width, t.from, t.to,
                               ratio, t.coded ? "" : "  as it is"));
  }
}

int run(Session& session, Options& options) {
  read_params(options);
  const pipeline::CompressJob& job = options.job;
  if (job.sparse) {
    session.ctx.warning(
        fmt::format("--pseudo-sparse changes the model: about {:.4g} % of its int8 weights become "
                    "zero. The original weights cannot be restored from the result",
                    100 * (1 - job.sparse->ratio)));
  }
  const pipeline::CompressResult result = pipeline::compress(session.ctx, job);
  session.console.end_progress();
  const auto coded = std::count_if(result.tensors.begin(), result.tensors.end(),
                                   [](const pipeline::CompressedTensor& t) { return t.coded; });
  if (options.values.flag("verbose")) show_tensors(session.console, result);
  session.console.result(fmt::format("  tensors    {} of {} coded, read back and compared", coded,
                                     result.tensors.size()));
  session.console.result(fmt::format(
      "  folder     {} to {}, {:.1f} s, peak {:.0f} MiB",
      pipeline::human_bytes(result.folder_bytes), pipeline::human_bytes(result.packed_folder_bytes),
      result.seconds, static_cast<double>(result.peak_rss) / 0x1p20));
  session.console.result(fmt::format("  final ratio {:.4f} (from {} to {} bytes)", result.ratio(),
                                     result.weight_bytes, result.packed_bytes));
  session.ctx.event("done", io::Json{{"out", job.out.string()},
                                     {"tensors", result.tensors.size()},
                                     {"coded", coded},
                                     {"from", result.weight_bytes},
                                     {"to", result.packed_bytes},
                                     {"ratio", result.ratio()},
                                     {"folder_from", result.folder_bytes},
                                     {"folder_to", result.packed_folder_bytes},
                                     {"changed", job.sparse.has_value()},
                                     {"seconds", result.seconds},
                                     {"peak_rss_bytes", result.peak_rss}}
                                .dump());
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->job.model,
                 "model folder: a float checkpoint (safetensors), or what `pare quantize` wrote")
      ->required();
  app.add_option("-o,--out", options->job.out, "folder to make; must not exist unless --force")
      ->required();
  add_params(app, kParams, options->values);
  app.add_flag("--force", options->job.overwrite, "replace an output folder that pare made before");
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

extern const Verb verb_compress;
const Verb verb_compress = {
    .name = "compress",
    .summary = "make a model folder smaller without loss; other commands read it as it is",
    .description =
        "Codes every tensor of the weight files near its entropy, tensor by tensor and tile by "
        "tile, and keeps everything else, so that `pare decompress` gives every file back byte for "
        "byte. What was written is read back and compared before the folder appears. eval, "
        "compare, generate, inspect and quantize open the result like the original. Sparse weights "
        "(scheme w8a8s) gain most. Nothing is left on disk when anything fails. The format: "
        "docs/formats/packed.md.",
    .examples =
        "pare compress llama-w8a8s -o llama-packed\n"
        "pare compress llama -o llama-packed --tier fast --verbose\n"
        "pare compress llama-w8a8 -o out --compress-disable-layers \"*.down_proj\" lm_head\n"
        "pare eval llama-packed --ppl text.txt",
    .json = JsonOutput::events,
    .declare = declare,
};

}  // namespace pare::app
