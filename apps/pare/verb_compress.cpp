// pare compress: the weights of a folder, smaller and without loss.
#include "options/add_options.h"
#include "options/coded_items.h"
#include "pare/convert.h"
#include "pare/job.h"
#include "verb.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace pare::app {
namespace {

struct Options {
  Job job;
  ParamMap values;
};

void show_tensors(Console& console, const CompressResult& result) {
  std::vector<CodedItem> items;
  for (const CompressedTensor& t : result.tensors)
    items.push_back({t.name, t.from, t.to, t.coded ? "" : "as it is"});
  show_coded(console, items);
}

int run(Session& session, const Options& options) {
  const CompressResult result = compress(session.ctx, options.job);
  session.console.end_progress();
  const auto coded = std::count_if(result.tensors.begin(), result.tensors.end(),
                                   [](const CompressedTensor& t) { return t.coded; });
  if (options.values.flag("verbose")) show_tensors(session.console, result);
  session.console.result(fmt::format("  tensors    {} of {} coded, read back and compared", coded,
                                     result.tensors.size()));
  session.console.result(fmt::format("  folder     {} to {}, {:.1f} s, peak {:.0f} MiB",
                                     human_bytes(result.folder_bytes),
                                     human_bytes(result.packed_folder_bytes), result.seconds,
                                     static_cast<double>(result.peak_rss) / 0x1p20));
  session.console.result(fmt::format("  final ratio {:.4f} (from {} to {} bytes)", result.ratio(),
                                     result.weight_bytes, result.packed_bytes));
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "MODEL", options->job.model,
             "model folder: a float checkpoint (safetensors), or what `pare quantize` wrote",
             {.required = true});
  add_option(app, "-o,--out", options->job.out, "folder to make; must not exist unless --force",
             {.required = true});
  add_params(app, codec_params(), options->job.params);
  add_params(app, kVerboseParam, options->values);
  add_flag(app, "--force", options->job.run.overwrite,
           "replace an output folder that pare made before");
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
