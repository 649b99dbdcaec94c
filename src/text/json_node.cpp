#include "text/json_node.h"

#include <fmt/format.h>

namespace pare::text {

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  if (!value_->is_object())
    throw error(fmt::format("expected an object, found {}", value_->type_name()));
  const auto member = value_->find(key);
  if (member == value_->end() || member->is_null()) return std::nullopt;
  return JsonNode(*member, fmt::format("{}.{}", path_, key));
}

JsonNode JsonNode::at(std::string_view key) const {
  std::optional<JsonNode> member = find(key);
  if (!member) throw error(fmt::format("\"{}\" is missing", key));
  return *member;
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_->is_array())
    throw error(fmt::format("expected an array, found {}", value_->type_name()));
  std::vector<JsonNode> nodes;
  nodes.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    nodes.emplace_back((*value_)[i], fmt::format("{}[{}]", path_, i));
  }
  return nodes;
}

std::string JsonNode::text() const {
  if (!value_->is_string())
    throw error(fmt::format("expected text, found {}", value_->type_name()));
  return value_->get<std::string>();
}

bool JsonNode::flag() const {
  if (!value_->is_boolean()) {
    throw error(fmt::format("expected true or false, found {}", value_->type_name()));
  }
  return value_->get<bool>();
}

std::int64_t JsonNode::integer() const {
  if (!value_->is_number_integer()) {
    throw error(fmt::format("expected a whole number, found {}", value_->type_name()));
  }
  if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > std::uint64_t{INT64_MAX}) {
    throw error("number too large");
  }
  return value_->get<std::int64_t>();
}

bool JsonNode::flag_or(std::string_view key, bool if_absent) const {
  const std::optional<JsonNode> member = find(key);
  return member ? member->flag() : if_absent;
}

std::string JsonNode::text_or(std::string_view key, std::string_view if_absent) const {
  const std::optional<JsonNode> member = find(key);
  return member ? member->text() : std::string(if_absent);
}

Error JsonNode::error(std::string detail) const {
  return Error(ErrorCode::bad_tokenizer, std::move(detail)).at(path_);
}

Error JsonNode::unsupported(std::string detail) const {
  return Error(ErrorCode::tokenizer_not_supported, std::move(detail))
      .at(path_)
      .hint("its ids could not be exact; use a model folder whose tokenizer has known parts only");
}

}  // namespace pare::text
