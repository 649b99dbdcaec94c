// Reads little-endian values of a GGUF header one after the other, never beyond its end.
#pragma once

#include "containers/gguf/file.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <type_traits>

namespace pare::containers {

class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> file, std::string where)
      : file_(file), where_(std::move(where)) {}

  std::size_t at() const noexcept { return at_; }
  std::size_t left() const noexcept { return file_.size() - at_; }
  std::size_t file_size() const noexcept { return file_.size(); }

  /// Throws Error(bad_gguf) at this file.
  [[noreturn]] void fail(const std::string& detail) const {
    throw Error(ErrorCode::bad_gguf, detail)
        .at(where_)
        .hint("the file is damaged or incomplete: fetch it again");
  }
  /// Throws Error(feature_not_supported) at this file.
  [[noreturn]] void unsupported(const std::string& detail, std::string hint) const {
    throw Error(ErrorCode::feature_not_supported, detail).at(where_).hint(std::move(hint));
  }

  std::span<const std::byte> take(std::uint64_t bytes, std::string_view what) {
    if (bytes > left()) {
      fail(fmt::format("{} at byte {} needs {} bytes, the file has {} left", what, at_, bytes,
                       left()));
    }
    const auto taken = file_.subspan(at_, static_cast<std::size_t>(bytes));
    at_ += taken.size();
    return taken;
  }

  template <typename T>
  T number(std::string_view what) {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  /// Length and bytes; not longer than `most`.
  std::string_view string(std::size_t most, std::string_view what) {
    const auto bytes = number<std::uint64_t>(what);
    if (bytes > most) fail(fmt::format("{} at byte {} is {} bytes long", what, at_ - 8, bytes));
    const auto taken = take(bytes, what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

 private:
  std::span<const std::byte> file_;
  std::string where_;
  std::size_t at_ = 0;
};

}  // namespace pare::containers
