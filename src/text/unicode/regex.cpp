#include "text/unicode/regex.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/unicode/regex_dialect.h"
#include "text/unicode/unicode.h"

#include <pcre2.h>

namespace pare::text {

namespace {

constexpr std::size_t kMaxPatternBytes = 64 * 1024;
// A long run of spaces costs about one step a byte, so the bound grows with the text.
constexpr std::uint64_t kMatchStepsBase = 5'000'000;
constexpr std::uint64_t kMatchStepsPerByte = 16;
constexpr std::uint32_t kHeapKibibytes = 256 * 1024;

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  const int length = pcre2_get_error_message(code, buffer.data(), buffer.size());
  if (length < 0) return fmt::format("PCRE2 error {}", code);
  return {reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(length)};
}

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};

using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;

}  // namespace

struct Regex::Code {
  std::string source;
  std::unique_ptr<pcre2_code, Freed<pcre2_code_free>> compiled;
};

Regex::Regex(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("regular expression of {} bytes, at most {} are read", pattern.size(),
                            kMaxPatternBytes));
  }
  const std::string translated = to_pcre2_pattern(to_valid_utf8(pattern));
  int code = 0;
  PCRE2_SIZE where = 0;
  auto built = std::make_shared<Code>();
  built->source = pattern;
  built->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                      translated.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE,
                                      &code, &where, nullptr));
  if (!built->compiled) {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("regular expression \"{}\": {}", pattern, message_of(code)));
  }
  // Without machine code the interpreter gives the same matches, so a refusal is no error.
  pcre2_jit_compile(built->compiled.get(), PCRE2_JIT_COMPLETE);
  code_ = std::move(built);
}

std::vector<Span> Regex::find_all(std::string_view valid_text) const {
  const MatchData data(pcre2_match_data_create_from_pattern(code_->compiled.get(), nullptr));
  const MatchContext context(pcre2_match_context_create(nullptr));
  if (!data || !context) throw std::bad_alloc();
  const std::uint64_t steps = kMatchStepsBase + kMatchStepsPerByte * valid_text.size();
  pcre2_set_match_limit(context.get(),
                        static_cast<std::uint32_t>(std::min<std::uint64_t>(steps, UINT32_MAX)));
  pcre2_set_heap_limit(context.get(), kHeapKibibytes);

  const auto search = [&](std::size_t from) {
    const auto subject = reinterpret_cast<PCRE2_SPTR>(valid_text.data());
    std::uint32_t options = PCRE2_NO_UTF_CHECK;
    int found = pcre2_match(code_->compiled.get(), subject, valid_text.size(), from, options,
                            data.get(), context.get());
    if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    options |= PCRE2_NO_JIT;
    return pcre2_match(code_->compiled.get(), subject, valid_text.size(), from, options, data.get(),
                       context.get());
  };

  std::vector<Span> matches;
  std::optional<std::size_t> last_end;
  for (std::size_t from = 0; from <= valid_text.size();) {
    const int found = search(from);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw Error(ErrorCode::bad_tokenizer,
                  fmt::format("regular expression \"{}\": {}", code_->source, message_of(found)));
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    const Span match{ends[0], ends[1]};
    if (match.end < match.begin || match.end < from) {
      throw Error(ErrorCode::bad_tokenizer,
                  fmt::format("regular expression \"{}\" matches backwards", code_->source));
    }
    if (match.begin == match.end && last_end == match.end) {
      from += from < valid_text.size() ? code_point_at(valid_text, from).bytes : 1;
      continue;
    }
    matches.push_back(match);
    last_end = match.end;
    from = match.end;
  }
  return matches;
}

Pattern::Pattern(std::string literal) : literal_(std::move(literal)) {}

Pattern::Pattern(const JsonNode& node) {
  if (const auto literal = node.find("String")) {
    literal_ = literal->text();
    if (literal_.empty()) throw literal->unsupported("empty pattern");
    return;
  }
  const auto regex = node.find("Regex");
  if (!regex) throw node.unsupported("pattern that is neither String nor Regex");
  try {
    regex_ = std::make_shared<const Regex>(regex->text());
  } catch (Error& error) {
    error.at(regex->path());
    throw;
  }
}

std::vector<Span> Pattern::find_all(std::string_view valid_text) const {
  if (regex_) return regex_->find_all(valid_text);
  std::vector<Span> matches;
  for (std::size_t at = valid_text.find(literal_); at != std::string_view::npos;
       at = valid_text.find(literal_, at + literal_.size())) {
    matches.push_back({at, at + literal_.size()});
  }
  return matches;
}

std::string Pattern::replace_all(std::string_view valid_text, std::string_view content) const {
  std::string out;
  std::size_t done = 0;
  for (const Span& match : find_all(valid_text)) {
    out.append(valid_text.substr(done, match.begin - done)).append(content);
    done = match.end;
  }
  return out.append(valid_text.substr(done));
}

}  // namespace pare::text
