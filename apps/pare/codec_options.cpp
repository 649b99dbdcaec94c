#include "codec_options.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

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
              .help = "tensors or modules that are not compressed: names, or patterns with * and ?"},
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

}  // namespace

std::span<const ParamSpec> codec_params() noexcept { return kParams; }

CodecOptions read_codec_options(const Context& ctx, const ParamMap& values,
                                std::string_view verb) {
  CodecOptions options;
  options.tier = values.text("tier") == "fast" ? codec::Tier::fast : codec::Tier::dense;
  options.disable = values.list("compress_disable_layers");
  if (values.given("pseudo_sparse")) {
    const double ratio = values.number("pseudo_sparse");
    options.sparse =
        pipeline::PseudoSparse{ratio, static_cast<std::uint64_t>(values.integer("seed"))};
    ctx.warning(fmt::format(
        "--pseudo-sparse changes the model: about {:.4g} % of its int8 weights become zero. The "
        "original weights cannot be restored from the result",
        100 * (1 - ratio)));
  } else if (values.given("seed")) {
    throw Error(ErrorCode::bad_usage, "--seed is of no use alone")
        .at(fmt::format("pare {}", verb))
        .hint("it belongs to --pseudo-sparse");
  }
  return options;
}

void show_coded(Console& console, const std::vector<CodedItem>& items) {
  std::size_t width = 0;
  for (const CodedItem& item : items)
    width = std::max(width, item.name.size());
  for (const CodedItem& item : items) {
    console.result(fmt::format("  {:<{}} {:>12} {:>12}  {:.4f}{}{}", item.name, width, item.from,
                               item.to, ratio_of(item.to, item.from), item.note.empty() ? "" : "  ",
                               item.note));
  }
}

double ratio_of(std::size_t to, std::size_t from) noexcept {
  return from == 0 ? 1 : static_cast<double>(to) / static_cast<double>(from);
}

}  // namespace pare::app
