#include "text/json/decoder.h"

#include "text/unicode/byte_alphabet.h"
#include "text/unicode/regex.h"
#include "text/unicode/unicode.h"

#include <charconv>
#include <optional>
#include <utility>

namespace pare::text {

namespace {

using Pieces = std::vector<std::string>;

std::string joined(const Pieces& pieces, std::string_view between) {
  std::string out;
  for (const std::string& piece : pieces) {
    if (!out.empty() || &piece != pieces.data()) out += between;
    out += piece;
  }
  return out;
}

// A piece with a character outside the alphabet is no byte-level piece and stands as it is.
std::string bytes_of_letters(const std::string& piece) {
  std::string bytes;
  for (std::size_t at = 0; at < piece.size();) {
    const CodePoint c = code_point_at(piece, at);
    at += c.bytes;
    const std::optional<unsigned char> byte = byte_of_letter(c.value);
    if (!byte) return piece;
    bytes += static_cast<char>(*byte);
  }
  return bytes;
}

Pieces from_byte_letters(Pieces pieces) {
  for (std::string& piece : pieces)
    piece = bytes_of_letters(piece);
  return {to_valid_utf8(joined(pieces, ""))};
}

Pieces fuse(const Pieces& pieces) { return {joined(pieces, "")}; }

std::optional<char> byte_of_fallback(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  unsigned value = 0;
  const char* end = piece.data() + 5;
  const auto [stop, status] = std::from_chars(piece.data() + 3, end, value, 16);
  if (status != std::errc() || stop != end) return std::nullopt;
  return static_cast<char>(static_cast<unsigned char>(value));
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (!c.valid) return false;
    at += c.bytes;
  }
  return true;
}

// A run of bytes is text as a whole, or one U+FFFD for each of its bytes.
Pieces from_fallback_bytes(Pieces pieces) {
  Pieces out;
  std::string run;
  const auto flush = [&] {
    if (run.empty()) return;
    if (is_valid_utf8(run)) {
      out.push_back(run);
    } else {
      for (std::size_t i = 0; i < run.size(); ++i)
        append_utf8(out.emplace_back(), kReplacementCharacter);
    }
    run.clear();
  };
  for (std::string& piece : pieces) {
    if (const std::optional<char> byte = byte_of_fallback(piece)) {
      run += *byte;
      continue;
    }
    flush();
    out.push_back(std::move(piece));
  }
  flush();
  return out;
}

std::string without_ends(std::string piece, const std::string& content, std::int64_t start,
                         std::int64_t stop) {
  for (std::int64_t i = 0; i < start && piece.starts_with(content); ++i)
    piece.erase(0, content.size());
  for (std::int64_t i = 0; i < stop && piece.ends_with(content); ++i) {
    piece.resize(piece.size() - content.size());
  }
  return piece;
}

std::string one_character(const JsonNode& node) {
  const std::string text = node.text();
  if (text.empty() || code_point_at(text, 0).bytes != text.size()) {
    throw node.error("must be one character");
  }
  return text;
}

bool metaspace_prepends(const JsonNode& node) {
  return node.text_or("prepend_scheme", "always") != "never" &&
         node.flag_or("add_prefix_space", true);
}

}  // namespace

Decoder::Decoder(const JsonNode& node) { add(node); }

Decoder Decoder::byte_level() {
  Decoder decoder;
  decoder.steps_.emplace_back(from_byte_letters);
  return decoder;
}

Decoder Decoder::spaces_between() {
  Decoder decoder;
  decoder.steps_.emplace_back([](const Pieces& pieces) { return Pieces{joined(pieces, " ")}; });
  return decoder;
}

void Decoder::add(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") {
    for (const JsonNode& part : node.at("decoders").items())
      add(part);
  } else if (type == "ByteLevel") {
    steps_.emplace_back(from_byte_letters);
  } else if (type == "ByteFallback") {
    steps_.emplace_back(from_fallback_bytes);
  } else if (type == "Fuse") {
    steps_.emplace_back(fuse);
  } else if (type == "Replace") {
    steps_.emplace_back([pattern = Pattern(node.at("pattern")),
                         content = node.at("content").text()](Pieces pieces) {
      for (std::string& piece : pieces)
        piece = pattern.replace_all(piece, content);
      return pieces;
    });
  } else if (type == "Strip") {
    steps_.emplace_back([content = one_character(node.at("content")),
                         start = node.at("start").integer(),
                         stop = node.at("stop").integer()](Pieces pieces) {
      for (std::string& piece : pieces)
        piece = without_ends(std::move(piece), content, start, stop);
      return pieces;
    });
  } else if (type == "Metaspace") {
    steps_.emplace_back([mark = Pattern(one_character(node.at("replacement"))),
                         drop_first = metaspace_prepends(node)](Pieces pieces) {
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        pieces[i] = mark.replace_all(pieces[i], i == 0 && drop_first ? "" : " ");
      }
      return pieces;
    });
  } else {
    throw node.unsupported("decoder type \"" + type + "\"");
  }
}

std::string Decoder::apply(std::vector<std::string> pieces) const {
  for (const Step& step : steps_)
    pieces = step(std::move(pieces));
  return to_valid_utf8(joined(pieces, ""));
}

}  // namespace pare::text
