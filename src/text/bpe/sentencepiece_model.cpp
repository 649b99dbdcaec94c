#include "text/bpe/sentencepiece_model.h"

#include "pare/error.h"

#include <cstdint>
#include <optional>
#include <string>

namespace pare::text {

namespace {

[[noreturn]] void damaged(const std::string& what) {
  throw Error(ErrorCode::bad_tokenizer, what).at("tokenizer.model").hint("copy the file again");
}

enum WireType : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  std::string_view bytes;    // of a length-delimited field
  std::uint64_t varint = 0;  // of a number
};

/// Walks the fields of one protobuf message.
class MessageReader {
 public:
  explicit MessageReader(std::string_view message) : rest_(message) {}

  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t key = varint();
    Field field{.number = key >> 3};
    switch (key & 7U) {
      case kVarint:
        field.varint = varint();
        break;
      case kFixed64:
        take(8);
        break;
      case kBytes:
        field.bytes = take(varint());
        break;
      case kFixed32:
        take(4);
        break;
      default:
        damaged("not a SentencePiece model: unknown protobuf wire type");
    }
    return field;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
    damaged("not a SentencePiece model: a number never ends");
  }

  std::string_view take(std::uint64_t bytes) {
    if (bytes > rest_.size()) damaged("the file ends in the middle of a field");
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

  std::string_view rest_;
};

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t k = 0; k < 4; ++k) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + k])) << (8 * k);
  }
  return value;
}

// A unit is a leaf's value (bit 31 set) or a node, whose children stand in the block of 256 units
// around `index ^ offset`.
void check_trie(std::string_view trie, std::size_t text_size) {
  const std::size_t units = trie.size() / 4;
  for (std::size_t i = 0; i < units; ++i) {
    const std::uint32_t unit = little_endian(trie, i * 4);
    if ((unit & 0x80000000U) != 0) {
      if ((unit & 0x7FFFFFFFU) >= text_size) damaged("a character map points behind its text");
      continue;
    }
    const std::size_t offset = (unit >> 10) << ((unit & (1U << 9)) >> 6);
    if (((i ^ offset) | 0xFFU) >= units) damaged("a character map points outside itself");
  }
}

// u32 size of the trie, the trie, and the texts it points to, each ended by a zero.
void check_character_map(std::string_view map) {
  if (map.empty()) return;
  if (map.size() < 5) damaged("a character map of less than 5 bytes");
  const std::size_t trie_bytes = little_endian(map, 0);
  if (trie_bytes > map.size() - 5 || trie_bytes % 4 != 0)
    damaged("a character map of impossible size");
  if (map.back() != '\0') damaged("a character map without its last zero");
  check_trie(map.substr(4, trie_bytes), map.size() - 4 - trie_bytes);
}

void check_normalizer_spec(std::string_view spec) {
  MessageReader reader(spec);
  while (const std::optional<Field> field = reader.next()) {
    if (field->number == 2) check_character_map(field->bytes);
  }
}

void read_normalizer_spec(std::string_view spec, SentencePieceSettings& settings) {
  MessageReader reader(spec);
  while (const std::optional<Field> field = reader.next()) {
    if (field->number == 2) settings.maps_characters = !field->bytes.empty();
    if (field->number == 3) settings.space_prefix = field->varint != 0;
    if (field->number == 4) settings.collapse_spaces = field->varint != 0;
  }
}

void read_trainer_spec(std::string_view spec, SentencePieceSettings& settings) {
  constexpr std::uint64_t kModelType = 3;
  constexpr std::uint64_t kBpe = 2;
  MessageReader reader(spec);
  while (const std::optional<Field> field = reader.next()) {
    if (field->number == kModelType) settings.joins_by_score = field->varint == kBpe;
  }
}

}  // namespace

SentencePieceSettings read_sentencepiece_settings(std::string_view model) {
  SentencePieceSettings settings;
  MessageReader reader(model);
  while (const std::optional<Field> field = reader.next()) {
    if (field->number == 2) read_trainer_spec(field->bytes, settings);
    if (field->number == 3) read_normalizer_spec(field->bytes, settings);
  }
  return settings;
}

void check_sentencepiece_model(std::string_view model) {
  constexpr std::uint64_t kPieces = 1;
  constexpr std::uint64_t kTrainer = 2;
  constexpr std::uint64_t kNormalizer = 3;
  constexpr std::uint64_t kDenormalizer = 5;
  std::int64_t pieces = 0;
  bool trainer = false;
  bool normalizer = false;
  MessageReader reader(model);
  while (const std::optional<Field> field = reader.next()) {
    if (field->number == kPieces) ++pieces;
    if (field->number == kTrainer) trainer = true;
    if (field->number != kNormalizer && field->number != kDenormalizer) continue;
    normalizer = normalizer || field->number == kNormalizer;
    check_normalizer_spec(field->bytes);
  }
  if (pieces == 0) damaged("no pieces in it");
  if (!trainer || !normalizer)
    damaged("the file ends before the trainer's and normalizer's settings");
}

}  // namespace pare::text
