// JSON as a stream of events, for documents too large to be held as a tree.
#pragma once

#include "io/json.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace pare::io {

/// Receives the events of one document while it is parsed. Every callback returns true to go on;
/// to stop, throw (`fail` throws with the place reached so far). NaN, Infinity and -Infinity, which
/// Python writes, come as `number_float`.
class JsonEvents : public nlohmann::json_sax<Json> {
 public:
  bool binary(binary_t& /*value*/) override { return true; }  // cannot occur in JSON text
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::detail::exception& error) override;

 protected:
  /// Throws Error(bad_json) naming the line and column that the parser has reached.
  [[noreturn]] void fail(const std::string& detail) const;

 private:
  friend void parse_json_events(std::string_view, const std::string&, std::size_t, JsonEvents&);
  friend class ConstantEvents;

  std::string_view text_;
  std::string where_;
  const char* reached_ = nullptr;
};

/// Parses one document of at most `max_bytes`. Depth and duplicate keys are the receiver's affair.
/// Errors: bad_json with `where:line:column`, and whatever the receiver throws.
void parse_json_events(std::string_view text, const std::string& where, std::size_t max_bytes,
                       JsonEvents& events);

}  // namespace pare::io
