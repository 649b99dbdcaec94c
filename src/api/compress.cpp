// Lossless compression of folders, and int8 weights as loose files.
#include "pipeline/pack/compress.h"

#include "io/json.h"
#include "pare/codec.h"
#include "pare/convert.h"
#include "pare/error.h"
#include "pipeline/open/model_path.h"
#include "pipeline/pack/export_dat.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare {
namespace {

constexpr std::array kCodecParams = {
    ParamSpec{.name = "tier",
              .type = ParamType::choice,
              .default_value = "dense",
              .choices = "dense|fast",
              .help = "dense: near the entropy of the weights; fast: 4-bit codes and escapes, "
                      "larger, decoded faster"},
    ParamSpec{
        .name = "compress_disable_layers",
        .type = ParamType::list,
        .help =
            "tensors or modules that are not compressed: names, or patterns with * and ?, as in "
            "a,b"},
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
};

constexpr std::array kDatParams = {
    ParamSpec{.name = "transpose",
              .type = ParamType::flag,
              .help = "cut the transposed matrices [inputs, outputs] into blocks"},
    ParamSpec{.name = "full_names",
              .type = ParamType::flag,
              .help = "call files like tensors (….weight.dat), as MindSpore's flow does, not like "
                      "modules"},
};

codec::Tier tier_of(const ParamMap& params) {
  return params.text("tier") == "fast" ? codec::Tier::fast : codec::Tier::dense;
}

/// Warns when weights will be changed. Errors: bad_usage for a seed that nothing uses.
std::optional<PseudoSparse> sparse_of(const Context& ctx, const ParamMap& params,
                                      const char* place) {
  if (!params.given("pseudo_sparse")) {
    if (!params.given("seed")) return std::nullopt;
    throw Error(ErrorCode::bad_usage, "--seed is of no use alone")
        .at(place)
        .hint("it belongs to --pseudo-sparse");
  }
  const double ratio = params.number("pseudo_sparse");
  ctx.warning(fmt::format(
      "--pseudo-sparse changes the model: about {:.4g} % of its int8 weights become zero. The "
      "original weights cannot be restored from the result",
      100 * (1 - ratio)));
  return PseudoSparse{ratio, static_cast<std::uint64_t>(params.integer("seed"))};
}

io::Json done_event(const Job& job, const CompressResult& result, bool changed) {
  const auto coded = std::count_if(result.tensors.begin(), result.tensors.end(),
                                   [](const CompressedTensor& t) { return t.coded; });
  return {{"out", job.out.string()},
          {"tensors", result.tensors.size()},
          {"coded", coded},
          {"from", result.weight_bytes},
          {"to", result.packed_bytes},
          {"ratio", result.ratio()},
          {"folder_from", result.folder_bytes},
          {"folder_to", result.packed_folder_bytes},
          {"changed", changed},
          {"seconds", result.seconds},
          {"peak_rss_bytes", result.peak_rss}};
}

io::Json done_event(const Job& job, const DecompressResult& result) {
  return {{"out", job.out.string()},   {"files", result.files},
          {"bytes", result.bytes},     {"changed", result.changed.has_value()},
          {"seconds", result.seconds}, {"peak_rss_bytes", result.peak_rss}};
}

io::Json done_event(const Job& job, const ExportDatResult& result) {
  return {{"out", job.out.string()},
          {"weights", result.weights.size()},
          {"left_out", result.left_out},
          {"from", result.from},
          {"to", result.to},
          {"ratio", result.ratio()},
          {"seconds", result.seconds}};
}

}  // namespace

std::span<const ParamSpec> codec_params() noexcept { return kCodecParams; }

std::span<const ParamSpec> dat_params() noexcept { return kDatParams; }

CompressResult compress(const Context& ctx, const Job& job) {
  const pipeline::CompressJob packing{
      .model = pipeline::model_folder(job.model),
      .out = job.out,
      .tier = tier_of(job.params),
      .disable = job.params.list("compress_disable_layers"),
      .sparse = sparse_of(ctx, job.params, "pare compress"),
      .overwrite = job.run.overwrite,
  };
  CompressResult result = pipeline::compress(ctx, packing);
  ctx.event("done", done_event(job, result, packing.sparse.has_value()).dump());
  return result;
}

DecompressResult decompress(const Context& ctx, const Job& job) {
  DecompressResult result = pipeline::decompress(ctx, {.packed = pipeline::model_folder(job.model),
                                                       .out = job.out,
                                                       .overwrite = job.run.overwrite});
  if (result.changed) {
    ctx.warning(fmt::format(
        "the weights were changed before packing (--pseudo-sparse {} --seed {}): what is restored "
        "are the changed weights; the original ones are not in the packed folder",
        result.changed->ratio, result.changed->seed));
  }
  ctx.event("done", done_event(job, result).dump());
  return result;
}

ExportDatResult export_dat(const Context& ctx, const Job& job) {
  const pipeline::ExportDatJob packing{
      .model = job.model,
      .out = job.out,
      .tier = tier_of(job.params),
      .transpose = job.params.flag("transpose"),
      .full_names = job.params.flag("full_names"),
      .disable = job.params.list("compress_disable_layers"),
      .sparse = sparse_of(ctx, job.params, "pare export-dat"),
      .overwrite = job.run.overwrite,
  };
  ExportDatResult result = pipeline::export_dat(ctx, packing);
  ctx.event("done", done_event(job, result).dump());
  return result;
}

}  // namespace pare
