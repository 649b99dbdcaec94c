#include "layouts/gguf/model_name.h"

#include "io/file.h"
#include "io/json.h"
#include "pare/error.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string_view>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxCardBytes = std::size_t{4} << 20;

bool is_space(char c) noexcept { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

std::string_view without_quotes(std::string_view text) noexcept {
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '"' || text.front() == '\'');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

/// Takes the first line off `text`.
std::string_view next_line(std::string_view& text) noexcept {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

/// The name in the lines between "---" and "---" that a model card begins with.
std::string name_in_card(std::string_view card) {
  if (trimmed(next_line(card)) != "---") return "";
  std::string name;
  while (!card.empty()) {
    const std::string_view line = next_line(card);
    if (trimmed(line) == "---") return name;
    for (const std::string_view key : {"name:", "model_name:"}) {
      if (!line.starts_with(key) || !name.empty()) continue;
      name = without_quotes(trimmed(line.substr(key.size())));
    }
  }
  return "";  // never closed: no head
}

/// Text of a small file, "" where there is none or it cannot be read: a name is not worth an error.
std::string text_if_any(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return "";
  try {
    return io::read_text(file, kMaxCardBytes);
  } catch (const Error&) {
    return "";
  }
}

/// A version such as "v0.1", or what begins with a digit.
bool is_number(std::string_view word) noexcept {
  if (is_digit(word.front())) return true;
  return word.size() > 1 && word.front() == 'v' && is_digit(word[1]);
}

/// "llama" becomes "Llama"; what has capitals of its own keeps them.
std::string title_of_word(std::string word) {
  const bool lower = std::any_of(word.begin(), word.end(), is_lower) &&
                     std::none_of(word.begin(), word.end(), is_upper);
  if (!lower || is_number(word)) return word;
  bool begins = true;
  for (char& c : word) {
    if (begins && is_lower(c)) c = static_cast<char>(c - 'a' + 'A');
    begins = !is_lower(c) && !is_upper(c);
  }
  return word;
}

std::string title_of(std::string_view id) {
  std::string title;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    if (!title.empty()) title += ' ';
    title += title_of_word(std::exchange(word, {}));
  };
  for (const char c : id) {
    if (c == '-' || is_space(c)) {
      end_word();
    } else {
      word += c;
    }
  }
  end_word();
  return title;
}

/// "org/name" and "name", which people load models by, but no path of somebody's machine.
std::string repository_in_config(const fs::path& folder) {
  const std::string text = text_if_any(folder / "config.json");
  if (text.empty()) return "";
  const io::Json config = io::read_json(folder / "config.json");
  if (!config.is_object() || !config.contains("_name_or_path")) return "";
  if (!config["_name_or_path"].is_string()) return "";
  const auto id = config["_name_or_path"].get<std::string>();
  const bool path = std::count(id.begin(), id.end(), '/') > 1 || id.starts_with("/") ||
                    id.starts_with(".") || id.starts_with("~");
  return path ? "" : id.substr(id.rfind('/') + 1);
}

/// Its own name, also of "." and "model/"; of a folder in the Hub's cache that of the repository.
std::string name_of_folder(const fs::path& folder) {
  std::error_code failed;
  fs::path whole = fs::absolute(folder, failed).lexically_normal();
  if (failed) return "";
  if (whole.filename().empty()) whole = whole.parent_path();
  const std::string repository = whole.parent_path().parent_path().filename().string();
  const bool cached =
      repository.starts_with("models--") && whole.parent_path().filename() == "snapshots";
  return cached ? repository.substr(repository.rfind("--") + 2) : whole.filename().string();
}

}  // namespace

std::string name_of_model(const fs::path& folder) {
  if (std::string name = name_in_card(text_if_any(folder / "README.md")); !name.empty()) {
    return name;
  }
  const std::string id = repository_in_config(folder);
  return title_of(id.empty() ? name_of_folder(folder) : id);
}

}  // namespace pare::layout
