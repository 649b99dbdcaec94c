// The few pickle opcodes that our files need, appended to a string.
// Source: CPython Lib/pickletools.py, protocols 2 to 4.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace pare::containers {

class PickleWriter {
 public:
  std::string take() { return std::exchange(out_, {}); }

  PickleWriter& op(std::string_view opcodes) {
    out_ += opcodes;
    return *this;
  }

  /// BININT1, BININT2, BININT or LONG1, whichever is shortest. Not for negative numbers.
  PickleWriter& number(std::int64_t value) {
    if (value < 0x100) return op("K").little_endian(value, 1);
    if (value < 0x10000) return op("M").little_endian(value, 2);
    if (value < 0x80000000LL) return op("J").little_endian(value, 4);
    return op("\x8A\x08").little_endian(value, 8);
  }

  /// BINUNICODE; the text must be UTF-8.
  PickleWriter& text(std::string_view utf8) {
    return op("X").little_endian(static_cast<std::int64_t>(utf8.size()), 4).op(utf8);
  }

  /// A bytes object's opcode and length; its bytes must follow. At 4 GiB it needs protocol 4.
  PickleWriter& bytes_header(std::uint64_t size) {
    const auto length = static_cast<std::int64_t>(size);
    if (size < 0x100) return op("C").little_endian(length, 1);
    if (size < 0x100000000ULL) return op("B").little_endian(length, 4);
    return op("\x8E").little_endian(length, 8);
  }

  /// GLOBAL, kept in the memo as `slot`.
  PickleWriter& global(std::string_view module, std::string_view name, int slot) {
    return op("c").op(module).op("\n").op(name).op("\n").op("q").little_endian(slot, 1);
  }

  PickleWriter& get(int slot) { return op("h").little_endian(slot, 1); }

  PickleWriter& little_endian(std::int64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
      out_ += static_cast<char>(value >> (8 * i) & 0xFF);
    return *this;
  }

 private:
  std::string out_;
};

}  // namespace pare::containers
