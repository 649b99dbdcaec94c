// Regular expressions of tokenizer.json are written for Oniguruma (Ruby syntax); we run PCRE2.
#pragma once

#include <string>
#include <string_view>

namespace pare::text {

/// The PCRE2 pattern (options UTF, UCP, MULTILINE) that matches what `oniguruma` matches there.
/// Rewritten: \s \w \b \h \v \uHHHH, whose meaning differs; `X{n,m}+`, which is not possessive in
/// Ruby; (?m:), which is "dot matches newline" in Ruby.
/// Errors: tokenizer_not_supported for syntax whose meaning would not be the same (set operations,
/// nested sets, back references, options in the middle); bad_tokenizer when it is cut off.
std::string to_pcre2_pattern(std::string_view oniguruma);

}  // namespace pare::text
