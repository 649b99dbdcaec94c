#include "text/json/post_processor.h"

#include <fmt/format.h>

namespace pare::text {

namespace {

std::vector<TokenId> ids_of_special(const JsonNode& special_tokens, const std::string& name,
                                    const Vocabulary& vocabulary) {
  std::vector<TokenId> ids;
  for (const JsonNode& item : special_tokens.at(name).at("ids").items()) {
    const std::int64_t id = item.integer();
    if (id < 0 || id >= vocabulary.size()) {
      throw item.error(fmt::format("id {} of \"{}\" is outside the vocabulary of {}", id, name,
                                   vocabulary.size()));
    }
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

Surroundings read_template(const JsonNode& node, const Vocabulary& vocabulary) {
  Surroundings result;
  bool text_seen = false;
  for (const JsonNode& piece : node.at("single").items()) {
    if (const auto sequence = piece.find("Sequence")) {
      if (sequence->at("id").text() != "A" || text_seen) {
        throw piece.unsupported("template for one text that has more than the sequence A");
      }
      text_seen = true;
      continue;
    }
    const std::string name = piece.at("SpecialToken").at("id").text();
    const std::vector<TokenId> ids = ids_of_special(node.at("special_tokens"), name, vocabulary);
    std::vector<TokenId>& side = text_seen ? result.after : result.before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!text_seen) throw node.error("template without the sequence A");
  return result;
}

}  // namespace

Surroundings read_post_processor(const JsonNode& node, const Vocabulary& vocabulary) {
  const std::string type = node.type();
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return read_template(node, vocabulary);
  if (type != "Sequence") throw node.unsupported("post-processor type \"" + type + "\"");
  Surroundings all;
  for (const JsonNode& part : node.at("processors").items()) {
    const Surroundings one = read_post_processor(part, vocabulary);
    all.before.insert(all.before.begin(), one.before.begin(), one.before.end());
    all.after.insert(all.after.end(), one.after.begin(), one.after.end());
  }
  return all;
}

}  // namespace pare::text
