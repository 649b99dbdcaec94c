#include "text/token_table.h"

#include "io/file.h"
#include "io/json.h"
#include "text/json_node.h"

namespace pare::text {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTemplateBytes = std::size_t{4} << 20;

/// One template, or a list of {name, template}.
std::optional<std::string> template_in(const JsonNode& root) {
  const std::optional<JsonNode> found = root.find("chat_template");
  if (!found.has_value()) return std::nullopt;
  if (!found->value().is_array()) return found->text();
  for (const JsonNode& entry : found->items()) {
    if (entry.text_or("name", "") == "default") return entry.at("template").text();
  }
  return std::nullopt;
}

}  // namespace

void put_token(TokenTable& table, std::int64_t id, const std::string& token, TokenType type) {
  const auto at = static_cast<std::size_t>(id);
  if (at >= table.tokens.size()) {
    table.tokens.resize(at + 1);
    table.types.resize(at + 1, TokenType::unused);
  }
  table.tokens[at] = token;
  table.types[at] = type;
}

std::optional<std::string> read_chat_template(const fs::path& folder) {
  std::error_code ignored;
  const fs::path plain = folder / "chat_template.jinja";
  if (fs::is_regular_file(plain, ignored)) return io::read_text(plain, kMaxTemplateBytes);
  for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
    if (!fs::is_regular_file(folder / name, ignored)) continue;
    const io::Json json = io::read_json(folder / name);
    if (auto found = template_in(JsonNode(json, name))) return found;
  }
  return std::nullopt;
}

}  // namespace pare::text
