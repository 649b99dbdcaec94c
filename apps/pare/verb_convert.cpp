// pare convert: quantized weights from one layout into another, integers unchanged.
#include "options/add_options.h"
#include "options/conversion.h"
#include "pare/convert.h"
#include "pare/job.h"
#include "verb.h"

#include <memory>
#include <string>

namespace pare::app {
namespace {

struct Options {
  Job job;
  std::string to;
};

int run(Session& session, const Options& options) {
  return run_conversion(session, Conversion(options.job, options.to));
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "MODEL", options->job.model,
             "folder of quantized weights in any layout of `pare list exporters`, packed or not",
             {.required = true});
  add_option(app, "--to", options->to, "layout to write",
             {.required = true, .value_name = "FORMAT"});
  add_option(app, "-o,--out", options->job.out, "folder to make; must not exist unless --force",
             {.required = true});
  add_params(app, layout_params(), options->job.params);
  add_flag(app, "--force", options->job.run.overwrite,
           "replace an output folder that pare made before");
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

extern const Verb verb_convert;
const Verb verb_convert = {
    .name = "convert",
    .summary = "quantized weights from one layout into another, codes unchanged, and prove it",
    .description =
        "Carries codes, scales and zero points over as they are and never quantizes again. Writes "
        "a "
        "complete folder: weights, index, config.json with the right quantization_config, "
        "tokenizer. "
        "Then reads what was written, decodes it and compares it with the source. Scales become "
        "F16 where the "
        "layout "
        "holds no other type, and the output says how far that moved weights. What a layout cannot "
        "hold is refused with those that can. Nothing is left on disk when anything fails. More: "
        "docs/converting.md.",
    .examples =
        "pare convert llama-w4a16 --to gptq -o llama-gptq\n"
        "pare convert llama-awq --to compressed-tensors -o llama-ct --part-file-size 2\n"
        "pare convert llama-gptq --to ascend-v1 -o llama-ascend\n"
        "pare convert llama-w4a16 --to dequantized -o llama-float",
    .json = JsonOutput::events,
    .declare = declare,
};

}  // namespace pare::app
