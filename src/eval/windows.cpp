// The protocols, and how each cuts a text into windows.
#include "eval/perplexity.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare::eval {
namespace {

constexpr std::array kProtocols = {
    Protocol{.id = "gptq",
             .summary = "windows of the whole text, every token after the first counts "
                        "(GPTQ and AWQ papers)",
             .default_context = 2048,
             .bos_in_every_window = false,
             .second_half_only = false},
    Protocol{.id = "llamacpp",
             .summary = "windows that begin with BOS, only their second half counts "
                        "(llama.cpp's perplexity tool)",
             .default_context = 512,
             .bos_in_every_window = true,
             .second_half_only = true},
};

}  // namespace

std::span<const Protocol> protocols() noexcept { return kProtocols; }

const Protocol& find_protocol(std::string_view id) {
  std::vector<std::string> known;
  for (const Protocol& protocol : kProtocols) {
    if (protocol.id == id) return protocol;
    known.emplace_back(protocol.id);
  }
  const std::string near = closest_match(id, known);
  throw Error(ErrorCode::unknown_entry, fmt::format("perplexity protocol \"{}\"", id))
      .hint(near.empty() ? "`pare list protocols` names them"
                         : fmt::format("did you mean \"{}\"?", near));
}

Windows make_windows(std::span<const text::TokenId> tokens, const Protocol& protocol,
                     std::int64_t context, text::TokenId bos, std::int64_t max_windows) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  Windows windows;
  windows.context = context;
  if (protocol.second_half_only) windows.first_target = context / 2 + 1;
  if (context < 2 || windows.first_target >= context) {
    throw Error(ErrorCode::bad_option_value,
                fmt::format("a context of {} leaves no token to score", context))
        .hint("use a larger --context");
  }
  if (count < context) {
    throw Error(ErrorCode::bad_dataset,
                fmt::format("the text has {} tokens, one window needs {}", count, context))
        .hint("use a longer text or a smaller --context");
  }
  std::int64_t n = count / context;
  if (max_windows > 0) n = std::min(n, max_windows);
  for (std::int64_t w = 0; w < n; ++w) {
    const auto window =
        tokens.subspan(static_cast<std::size_t>(w * context), static_cast<std::size_t>(context));
    windows.ids.emplace_back(window.begin(), window.end());
    if (protocol.bos_in_every_window && bos >= 0) windows.ids.back().front() = bos;
  }
  return windows;
}

}  // namespace pare::eval
