// The windows of a text that `pare eval` and `pare compare` score, and the options that choose
// them.
#pragma once

#include "eval/perplexity.h"
#include "io/json.h"
#include "pare/job.h"
#include "pipeline/open/open_model.h"
#include "verb.h"

#include <array>
#include <filesystem>
#include <string>

namespace pare::app {

/// --ppl, --protocol, --context and --windows. Protocol names are checked against eval::protocols.
std::span<const ParamSpec> window_params();

struct TextWindows {
  std::string file;
  const eval::Protocol* protocol = nullptr;
  eval::Windows windows;
  std::int64_t text_tokens = 0;
  std::string ids_sha256;  // of all tokens of the text

  std::string text_line() const;
  std::string protocol_line() const;
  void describe(io::Json& object) const;
};

/// Reads and tokenizes the text and cuts it; warns when the windows are longer than the model's
/// positions. Errors: those of the tokenizer, the text and make_windows.
TextWindows read_windows(const Session& session, const pipeline::OpenModel& model,
                         const ParamMap& values);

}  // namespace pare::app
