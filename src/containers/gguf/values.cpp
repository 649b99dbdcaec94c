// The key-values of a GGUF header.
#include "containers/gguf/values.h"

#include "containers/in_quotes.h"

#include <utility>

namespace pare::containers {
namespace {

constexpr std::size_t kMaxKeyBytes = 65535;
constexpr std::size_t kMaxStringBytes = std::size_t{64} << 20;

/// Bytes of one value of a fixed size, 0 for strings, arrays and numbers that are no type.
std::size_t size_of_value(GgufValueType type) noexcept {
  switch (type) {
    case GgufValueType::u8:
    case GgufValueType::i8:
    case GgufValueType::boolean: return 1;
    case GgufValueType::u16:
    case GgufValueType::i16: return 2;
    case GgufValueType::u32:
    case GgufValueType::i32:
    case GgufValueType::f32: return 4;
    case GgufValueType::u64:
    case GgufValueType::i64:
    case GgufValueType::f64: return 8;
    case GgufValueType::string:
    case GgufValueType::array: break;
  }
  return 0;
}

GgufValueType read_type(GgufCursor& cursor, std::string_view what) {
  const auto number = cursor.number<std::uint32_t>(what);
  if (number > static_cast<std::uint32_t>(GgufValueType::f64)) {
    cursor.fail(fmt::format("{} is {}, which is no type of a value", what, number));
  }
  return static_cast<GgufValueType>(number);
}

bool read_flag(GgufCursor& cursor) {
  const auto byte = cursor.number<std::uint8_t>("a boolean");
  if (byte > 1) cursor.fail(fmt::format("a boolean is {}", byte));
  return byte == 1;
}

GgufValue read_array(GgufCursor& cursor) {
  GgufArray array;
  array.type = read_type(cursor, "the type of an array's elements");
  if (array.type == GgufValueType::array) {
    cursor.unsupported("an array of arrays in the header", "Pare knows no key that has one");
  }
  array.count = cursor.number<std::uint64_t>("the length of an array");
  const std::size_t element = size_of_value(array.type);
  const std::size_t least = element == 0 ? sizeof(std::uint64_t) : element;
  if (array.count > cursor.left() / least) {
    cursor.fail(fmt::format("an array of {} elements at byte {} reaches beyond the file",
                            array.count, cursor.at()));
  }
  GgufCursor begin = cursor;
  const std::size_t first = cursor.at();
  if (element != 0) {
    cursor.take(array.count * element, "an array");
  } else {
    for (std::uint64_t i = 0; i < array.count; ++i)
      cursor.string(kMaxStringBytes, "a string of an array");
  }
  array.bytes = begin.take(cursor.at() - first, "an array");
  return array;
}

GgufValue read_value(GgufCursor& cursor, GgufValueType type) {
  const auto natural = [](auto value) { return GgufValue(std::uint64_t{value}); };
  const auto whole = [](auto value) { return GgufValue(std::int64_t{value}); };
  switch (type) {
    case GgufValueType::u8: return natural(cursor.number<std::uint8_t>("a value"));
    case GgufValueType::u16: return natural(cursor.number<std::uint16_t>("a value"));
    case GgufValueType::u32: return natural(cursor.number<std::uint32_t>("a value"));
    case GgufValueType::u64: return natural(cursor.number<std::uint64_t>("a value"));
    case GgufValueType::i8: return whole(cursor.number<std::int8_t>("a value"));
    case GgufValueType::i16: return whole(cursor.number<std::int16_t>("a value"));
    case GgufValueType::i32: return whole(cursor.number<std::int32_t>("a value"));
    case GgufValueType::i64: return whole(cursor.number<std::int64_t>("a value"));
    case GgufValueType::f32: return double{cursor.number<float>("a value")};
    case GgufValueType::f64: return cursor.number<double>("a value");
    case GgufValueType::boolean: return read_flag(cursor);
    case GgufValueType::string: return std::string(cursor.string(kMaxStringBytes, "a text"));
    case GgufValueType::array: break;
  }
  return read_array(cursor);
}

}  // namespace

void read_gguf_values(GgufCursor& cursor, std::uint64_t count, GgufHeader& header) {
  constexpr std::size_t kLeastBytes = 8 + 4 + 1;  // length of the key, type, value
  if (count > cursor.left() / kLeastBytes) {
    cursor.fail(fmt::format("{} key-values do not fit into the file", count));
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string key(cursor.string(kMaxKeyBytes, "a key"));
    if (key.empty()) cursor.fail(fmt::format("key {} is empty", i));
    const GgufValueType type = read_type(cursor, "the type of " + in_quotes(key));
    const bool added = header.values.emplace(key, read_value(cursor, type)).second;
    if (!added) cursor.fail(fmt::format("key {} is there twice", in_quotes(key)));
  }
}

}  // namespace pare::containers
