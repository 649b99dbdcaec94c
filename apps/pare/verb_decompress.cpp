// pare decompress: every original file of a packed folder.
#include "options/add_options.h"
#include "pare/convert.h"
#include "pare/job.h"
#include "verb.h"

#include <fmt/format.h>

#include <memory>

namespace pare::app {
namespace {

int run(Session& session, const Job& job) {
  const DecompressResult result = decompress(session.ctx, job);
  session.console.end_progress();
  session.console.result(
      fmt::format("  restored   {} files, {}, every SHA-256 as recorded, {:.1f} s, peak {:.0f} MiB",
                  result.files, human_bytes(result.bytes), result.seconds,
                  static_cast<double>(result.peak_rss) / 0x1p20));
  return 0;
}

Run declare(CLI::App& app) {
  auto job = std::make_shared<Job>();
  add_option(app, "PACKED", job->model, "folder that `pare compress` made", {.required = true});
  add_option(app, "-o,--out", job->out, "folder to make; must not exist unless --force",
             {.required = true});
  add_flag(app, "--force", job->run.overwrite, "replace an output folder that pare made before");
  return [job](Session& session) { return run(session, *job); };
}

}  // namespace

extern const Verb verb_decompress;
const Verb verb_decompress = {
    .name = "decompress",
    .summary = "give back every file of a compressed folder, byte for byte",
    .description =
        "Restores the folder that `pare compress` packed: every file with its bytes and its "
        "permissions, each held against the SHA-256 taken when it was packed. Damage anywhere in "
        "the packed folder is reported with file, tensor and tile, and then nothing is written.",
    .examples = "pare decompress llama-packed -o llama",
    .json = JsonOutput::events,
    .declare = declare,
};

}  // namespace pare::app
