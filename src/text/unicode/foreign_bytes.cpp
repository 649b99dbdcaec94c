#include "text/unicode/foreign_bytes.h"

#include "text/unicode/unicode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare::text {
namespace {

struct KnownFile {
  std::string_view begin;
  std::string_view name;
  std::string_view hint;
  std::size_t offset = 0;
};

constexpr std::string_view kUnpack = "unpack it first, and give the text file in it";
constexpr std::string_view kExport =
    "export it as .jsonl or .csv first, with pandas for example: to_json(\"data.jsonl\", "
    "orient=\"records\", lines=True)";
constexpr std::string_view kSaveAsText = "save its text as a .txt file in UTF-8";
constexpr std::string_view kGiveText = "give a text file in UTF-8";

constexpr std::array kKnownFiles = {
    KnownFile{"\x1F\x8B", "a gzip archive", "unpack it first: gunzip -k FILE"},
    KnownFile{"PK\x03\x04", "a zip archive, as .xlsx, .docx and .npz files are",
              "unpack it, or save the sheet as .csv in UTF-8"},
    KnownFile{"\x28\xB5\x2F\xFD", "a Zstandard archive", "unpack it first: zstd -d FILE"},
    KnownFile{std::string_view("\xFD\x37zXZ\0", 6), "an xz archive",
              "unpack it first: xz -dk FILE"},
    KnownFile{"BZh", "a bzip2 archive", "unpack it first: bzip2 -dk FILE"},
    KnownFile{"7z\xBC\xAF\x27\x1C", "a 7-Zip archive", kUnpack},
    KnownFile{"\x04\x22\x4D\x18", "an LZ4 archive", kUnpack},
    KnownFile{"Rar!\x1A\x07", "a RAR archive", kUnpack},
    KnownFile{"ustar", "a tar archive", kUnpack, 257},
    KnownFile{"PAR1", "a Parquet table", kExport},
    KnownFile{"ARROW1", "an Arrow table", kExport},
    KnownFile{"\xFF\xFF\xFF\xFF", "a stream of Arrow tables", kExport},
    KnownFile{"Obj\x01", "an Avro table", kExport},
    KnownFile{"ORC", "an ORC table", kExport},
    KnownFile{std::string_view("SQLite format 3\0", 16), "an SQLite database", kExport},
    KnownFile{"\x89HDF", "an HDF5 file", kExport},
    KnownFile{"\x93NUMPY", "a NumPy array", "give token ids as {\"input_ids\": [...]}, one a line"},
    KnownFile{"%PDF-", "a PDF document", "make text of it first: pdftotext FILE"},
    KnownFile{"{\\rtf", "an RTF document", kSaveAsText},
    KnownFile{"\xD0\xCF\x11\xE0", "an old Office document (.doc, .xls)", kSaveAsText},
    KnownFile{"GGUF", "a GGUF model", kGiveText},
    KnownFile{"\x89PNG", "a PNG image", kGiveText},
    KnownFile{"\xFF\xD8\xFF", "a JPEG image", kGiveText},
    KnownFile{"\x7F"
              "ELF",
              "a program", kGiveText},
};

/// Letters alone are no proof: text may begin so, and then it goes on as text.
bool is_proven(const KnownFile& kind, std::string_view bytes) {
  if (kind.begin != "BZh" && kind.begin != "ORC" && kind.begin != "PAR1" && kind.begin != "GGUF")
    return true;
  const std::string_view start = bytes.substr(0, 4096);
  for (std::size_t at = 0; at < start.size();) {
    const CodePoint c = code_point_at(start, at);
    if (c.value == 0 || (!c.valid && at + c.bytes < start.size())) return true;
    at += c.bytes;
  }
  return false;
}

char32_t unit_at(std::string_view bytes, std::size_t at, const Utf& utf) noexcept {
  char32_t value = 0;
  for (std::size_t i = 0; i < utf.unit; ++i) {
    const std::size_t from = utf.big_endian ? i : utf.unit - 1 - i;
    value = (value << 8) | static_cast<unsigned char>(bytes[at + from]);
  }
  return value;
}

bool is_surrogate(char32_t c) noexcept { return c >= 0xD800 && c <= 0xDFFF; }

struct ByteCounts {
  std::size_t nul = 0;
  std::size_t control = 0;   // but for white space
  std::size_t high = 0;      // 0x80 and above
  std::size_t c1 = 0;        // 0x80 to 0x9F: letters of Windows only
  std::size_t isolated = 0;  // high ones between two that are not
  std::size_t wide = 0;      // characters of UTF-8 that take several bytes
  std::size_t damaged = 0;   // places that are not UTF-8
};

bool is_high(std::string_view bytes, std::size_t at) noexcept {
  return at < bytes.size() && (static_cast<unsigned char>(bytes[at]) & 0x80U) != 0;
}

ByteCounts count_bytes(std::string_view bytes) {
  ByteCounts counts;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const auto byte = static_cast<unsigned char>(bytes[at]);
    counts.nul += byte == 0 ? 1 : 0;
    counts.control += byte < 0x20 && (byte < 0x09 || byte > 0x0D) ? 1 : 0;
    counts.high += byte >= 0x80 ? 1 : 0;
    counts.c1 += byte >= 0x80 && byte < 0xA0 ? 1 : 0;
    const bool alone = !is_high(bytes, at + 1) && (at == 0 || !is_high(bytes, at - 1));
    counts.isolated += byte >= 0x80 && alone ? 1 : 0;
  }
  for (std::size_t at = 0; at < bytes.size();) {
    const CodePoint c = code_point_at(bytes, at);
    counts.damaged += c.valid ? 0 : 1;
    counts.wide += c.valid && c.bytes > 1 ? 1 : 0;
    at += c.bytes;
  }
  return counts;
}

/// NUL bytes by their place in a unit of `unit` bytes.
std::array<std::size_t, 4> nul_places(std::string_view bytes, std::size_t unit) {
  std::array<std::size_t, 4> counts{};
  for (std::size_t at = bytes.find('\0'); at != std::string_view::npos;
       at = bytes.find('\0', at + 1))
    ++counts[at % unit];
  return counts;
}

/// Whether most of it is letters, digits and spaces.
bool reads_like_text(std::string_view text) {
  std::size_t count = 0;
  std::size_t plausible = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    const CodePoint c = code_point_at(text, at);
    if (is_word_character(c.value) || is_white_space(c.value)) ++plausible;
    at += c.bytes;
  }
  return plausible * 4 >= count * 3;
}

/// Latin text has a NUL in every unit of UTF-16 and three in one of UTF-32, in the same places;
/// other text has them at least in its spaces and line ends.
std::optional<Utf> unmarked(std::string_view bytes) {
  const std::array<std::size_t, 4> quads = nul_places(bytes, 4);
  const std::array<std::size_t, 4> pairs = nul_places(bytes, 2);
  const bool wide = (quads[1] + quads[2]) * 4 > bytes.size();
  const Utf utf = wide ? Utf{4, quads[0] > quads[3]} : Utf{2, pairs[0] > pairs[1]};
  if (pairs[0] + pairs[1] == 0) return std::nullopt;
  const std::optional<std::string> text = decode(bytes, utf);
  if (!text.has_value() || !reads_like_text(*text)) return std::nullopt;
  return utf;
}

std::string place_of(std::string_view bytes, std::size_t at) {
  const std::string_view before = bytes.substr(0, at);
  return fmt::format("byte {}, line {}", at + 1,
                     std::count(before.begin(), before.end(), '\n') + 1);
}

std::string convert_from(std::string_view encoding) {
  return fmt::format("save it as UTF-8: iconv -f {} -t UTF-8 FILE > NEW", encoding);
}

}  // namespace

std::string name_of(const Utf& utf) {
  return fmt::format("UTF-{}, {} endian", utf.unit * 8, utf.big_endian ? "big" : "little");
}

std::optional<std::string> decode(std::string_view bytes, const Utf& utf) {
  if (bytes.size() % utf.unit != 0) return std::nullopt;
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += utf.unit) {
    char32_t c = unit_at(bytes, at, utf);
    if (utf.unit == 2 && c >= 0xD800 && c < 0xDC00 && at + 4 <= bytes.size()) {
      const char32_t low = unit_at(bytes, at + 2, utf);
      if (low < 0xDC00 || low > 0xDFFF) return std::nullopt;
      c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
      at += 2;
    }
    if (is_surrogate(c) || c > 0x10FFFF) return std::nullopt;
    append_utf8(text, c);
  }
  return text;
}

std::optional<ForeignBytes> known_file(std::string_view bytes) {
  for (const KnownFile& kind : kKnownFiles) {
    if (bytes.size() < kind.offset) continue;
    if (!bytes.substr(kind.offset).starts_with(kind.begin) || !is_proven(kind, bytes)) continue;
    return ForeignBytes{fmt::format("it is no text but {}", kind.name), std::string(kind.hint)};
  }
  return std::nullopt;
}

ForeignBytes foreign_bytes(std::string_view bytes, std::size_t bad) {
  const std::string place = place_of(bytes, bad);
  const ByteCounts counts = count_bytes(bytes);
  if (const auto utf = unmarked(bytes)) {
    return {fmt::format("it looks like {}, without the mark that would prove it", name_of(*utf)),
            convert_from(fmt::format("UTF-{}{}", utf->unit * 8, utf->big_endian ? "BE" : "LE"))};
  }
  if (counts.nul > 0 || counts.control * 20 > bytes.size()) {
    return {fmt::format("it looks like binary data, not text ({})", place), std::string(kGiveText)};
  }
  if (counts.damaged * 10 <= counts.wide) {
    return {fmt::format("it is UTF-8 with {} damaged characters, the first at {}", counts.damaged,
                        place),
            "mend the file, or drop them: iconv -c -f UTF-8 -t UTF-8 FILE > NEW"};
  }
  if (counts.isolated * 2 >= counts.high) {
    const bool windows = counts.c1 > 0;
    return {fmt::format("it is not UTF-8 ({}); it looks like {}", place,
                        windows ? "Windows-1252" : "Latin-1"),
            convert_from(windows ? "WINDOWS-1252" : "ISO-8859-1")};
  }
  return {fmt::format("it is not UTF-8 ({}); it looks like an encoding of another script, such as "
                      "GB18030, Shift-JIS, Big5 or Windows-1251",
                      place),
          convert_from("ENCODING")};
}

bool is_cut_off(std::string_view bytes) noexcept {
  const auto lead = bytes.empty() ? 0U : static_cast<unsigned char>(bytes.front());
  const std::size_t whole = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  return lead < 0xF5 && bytes.size() < whole;
}

}  // namespace pare::text
