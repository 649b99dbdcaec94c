#include "text/json/split.h"

#include <algorithm>

namespace pare::text {

namespace {

struct Part {
  Span span;
  bool is_delimiter = false;
};

std::vector<Part> parts_of(std::size_t size, const std::vector<Span>& matches, bool invert) {
  std::vector<Part> parts;
  std::size_t done = 0;
  for (const Span& match : matches) {
    if (done != match.begin) parts.push_back({{done, match.begin}, invert});
    parts.push_back({match, !invert});
    done = match.end;
  }
  if (done != size) parts.push_back({{done, size}, invert});
  return parts;
}

std::vector<Span> keep_text(const std::vector<Part>& parts) {
  std::vector<Span> spans;
  for (const Part& part : parts) {
    if (!part.is_delimiter) spans.push_back(part.span);
  }
  return spans;
}

std::vector<Span> keep_all(const std::vector<Part>& parts) {
  std::vector<Span> spans;
  for (const Part& part : parts)
    spans.push_back(part.span);
  return spans;
}

// Neighbours of one kind become one piece.
std::vector<Span> join_equal(const std::vector<Part>& parts) {
  std::vector<Span> spans;
  bool previous = false;
  for (const Part& part : parts) {
    if (part.is_delimiter == previous && !spans.empty()) {
      spans.back().end = part.span.end;
    } else {
      spans.push_back(part.span);
    }
    previous = part.is_delimiter;
  }
  return spans;
}

// A delimiter joins the piece before it, unless that is a delimiter too.
std::vector<Span> join_previous(const std::vector<Part>& parts) {
  std::vector<Span> spans;
  bool previous = false;
  for (const Part& part : parts) {
    if (part.is_delimiter && !previous && !spans.empty()) {
      spans.back().end = part.span.end;
    } else {
      spans.push_back(part.span);
    }
    previous = part.is_delimiter;
  }
  return spans;
}

std::vector<Span> join_next(const std::vector<Part>& parts) {
  std::vector<Span> spans;  // back to front
  bool previous = false;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (part->is_delimiter && !previous && !spans.empty()) {
      spans.back().begin = part->span.begin;
    } else {
      spans.push_back(part->span);
    }
    previous = part->is_delimiter;
  }
  std::reverse(spans.begin(), spans.end());
  return spans;
}

std::vector<Span> spans_of(const std::vector<Part>& parts, Delimiter delimiter) {
  switch (delimiter) {
    case Delimiter::removed:
      return keep_text(parts);
    case Delimiter::isolated:
      return keep_all(parts);
    case Delimiter::merged_with_previous:
      return join_previous(parts);
    case Delimiter::merged_with_next:
      return join_next(parts);
    case Delimiter::contiguous:
      return join_equal(parts);
  }
  return {};
}

}  // namespace

Delimiter delimiter_from(const JsonNode& node) {
  const std::string name = node.text();
  if (name == "Removed") return Delimiter::removed;
  if (name == "Isolated") return Delimiter::isolated;
  if (name == "MergedWithPrevious") return Delimiter::merged_with_previous;
  if (name == "MergedWithNext") return Delimiter::merged_with_next;
  if (name == "Contiguous") return Delimiter::contiguous;
  throw node.unsupported("split behavior \"" + name + "\"");
}

std::vector<Span> split(std::size_t size, const std::vector<Span>& matches, Delimiter delimiter,
                        bool invert) {
  std::vector<Span> spans = spans_of(parts_of(size, matches, invert), delimiter);
  std::erase_if(spans, [](const Span& span) { return span.begin == span.end; });
  return spans;
}

}  // namespace pare::text
