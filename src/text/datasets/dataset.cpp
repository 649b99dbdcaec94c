#include "text/datasets/dataset.h"

#include "io/hash.h"
#include "pare/error.h"
#include "text/datasets/chat.h"
#include "text/datasets/records.h"
#include "text/datasets/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

namespace pare::text {

namespace {

using Tokens = std::vector<TokenId>;

constexpr std::size_t kTokensShown = 64;

std::string text_by_default_fields(const Record& from) {
  const io::Json& record = from.value;
  const std::string& where = from.where;
  for (const std::string_view name : {"inputs_pretokenized", "text"}) {
    if (const auto field = record.find(name); field != record.end())
      return field_text(*field, name, where);
  }
  const bool question = record.contains("question") && record.contains("passage");
  if (!question) {
    if (const auto chat = find_chat(record)) refuse_chat(*chat, where, from.element);
    throw Error(ErrorCode::template_field_missing,
                "none of inputs_pretokenized, text, question with passage")
        .at(where)
        .hint("name the fields in a template, e.g. \"{text}\"; there are: " + field_names(record));
  }
  static const Template untitled("{passage}\nQuestion:{question}?\nAnswer:");
  static const Template titled("{title} -- {passage}\nQuestion:{question}?\nAnswer:");
  const auto title = record.find("title");
  const bool has_title = title != record.end() && !field_text(*title, "title", where).empty();
  return (has_title ? titled : untitled).fill(record, where);
}

class Loader {
 public:
  Loader(const DatasetOptions& options, const OpenTokenizer& tokenizer, std::int64_t vocab_size)
      : options_(options), open_(tokenizer), vocab_size_(vocab_size) {
    if (!options.tmpl.empty()) template_.emplace(options.tmpl);
    require_positive(options.count, "count");
    require_positive(options.max_tokens, "max-tokens");
    require_positive(options.pack, "pack");
  }

  Dataset run() {
    visit_records(options_.file, options_.pack.has_value(), [&](const Record& record) {
      if (options_.count && samples() == *options_.count) return false;
      ++data_.lines_read;
      take(record);
      return true;
    });
    if (data_.sequences.empty()) throw empty();
    describe();
    return std::move(data_);
  }

 private:
  static void require_positive(const std::optional<std::int64_t>& value, std::string_view name) {
    if (!value || *value > 0) return;
    throw Error(ErrorCode::bad_option_value,
                fmt::format("{} is {}, must be at least 1", name, *value));
  }

  std::int64_t samples() const { return data_.lines_read - data_.lines_skipped; }

  void skip(const std::string& reason, const std::string& where) {
    ++data_.lines_skipped;
    Skipped& skipped = skipped_[reason];
    if (skipped.lines++ == 0) skipped.first = where;
  }

  void take(const Record& record) {
    if (!record.problem.empty()) return skip(record.problem, record.where);
    if (record.value.is_null()) return skip("blank", record.where);
    if (record.value.is_object() && !template_) {
      if (const auto ids = record.value.find("input_ids"); ids != record.value.end()) {
        return take_ids(*ids, record.where);
      }
    }
    const std::string text = text_of(record);
    if (text.find_first_not_of(" \t\r\n") == std::string::npos)
      return skip("empty text", record.where);
    store(tokenizer_for(record).encode(text), record.where);
  }

  const Tokenizer& tokenizer_for(const Record& record) {
    if (tokenizer_ == nullptr) tokenizer_ = open_();
    if (tokenizer_ != nullptr) return *tokenizer_;
    throw Error(ErrorCode::tokenizer_missing, "text needs the model's tokenizer")
        .at(record.where)
        .hint("or give token ids, {\"input_ids\": [...]} a line");
  }

  /// For what is only shown: null also when it cannot be opened.
  const Tokenizer* tokenizer_if_readable() {
    try {
      if (tokenizer_ == nullptr) tokenizer_ = open_();
    } catch (const Error&) {
      return nullptr;
    }
    return tokenizer_;
  }

  std::string text_of(const Record& record) const {
    if (record.value.is_string() && !template_) return record.value.get<std::string>();
    if (template_) return template_->fill(record.value, record.where);
    if (record.value.is_object()) return text_by_default_fields(record);
    if (const auto chat = find_chat(record.value)) refuse_chat(*chat, record.where, record.element);
    throw Error(ErrorCode::bad_dataset,
                fmt::format("expected an object or text, found {}", record.value.type_name()))
        .at(record.where);
  }

  void take_ids(const io::Json& ids, const std::string& where) {
    if (!ids.is_array()) {
      throw Error(ErrorCode::bad_dataset,
                  fmt::format("input_ids is {}, not an array", ids.type_name()))
          .at(where);
    }
    Tokens tokens;
    tokens.reserve(ids.size());
    for (const io::Json& id : ids)
      tokens.push_back(checked_id(id, where));
    store(std::move(tokens), where);
  }

  static TokenId checked_id(const io::Json& id, const std::string& where) {
    if (!id.is_number_integer()) {
      throw Error(ErrorCode::bad_dataset, "input_ids holds what is no whole number").at(where);
    }
    constexpr std::int64_t kMax = std::numeric_limits<TokenId>::max();
    const bool fits = id.is_number_unsigned() ? id.get<std::uint64_t>() <= std::uint64_t{kMax}
                                              : id.get<std::int64_t>() >= 0;
    if (!fits) throw Error(ErrorCode::token_out_of_range, id.dump()).at(where);
    return id.get<TokenId>();
  }

  void store(Tokens tokens, const std::string& where) {
    if (tokens.empty()) return skip("no tokens", where);
    const auto highest = *std::max_element(tokens.begin(), tokens.end());
    if (vocab_size_ > 0 && highest >= vocab_size_) {
      throw Error(ErrorCode::token_out_of_range,
                  fmt::format("id {}, the model has {} ids", highest, vocab_size_))
          .at(where)
          .hint("tokenizer or token ids belong to another model");
    }
    if (options_.pack) {
      add_cut(tokens, *options_.pack, true);
    } else {
      add_cut(tokens, std::numeric_limits<std::int64_t>::max(), false);
    }
  }

  // Appends in windows of `window` tokens, none longer than max_tokens; with `fill` the last
  // window is filled up before a new one begins.
  void add_cut(const Tokens& tokens, std::int64_t window, bool fill) {
    const auto size = static_cast<std::size_t>(
        std::min(window, options_.max_tokens.value_or(std::numeric_limits<std::int64_t>::max())));
    for (std::size_t at = 0; at < tokens.size();) {
      const bool fits = fill && !data_.sequences.empty() && data_.sequences.back().size() < size;
      if (!fits) data_.sequences.emplace_back();
      Tokens& last = data_.sequences.back();
      const std::size_t take = std::min(size - last.size(), tokens.size() - at);
      const auto from = tokens.begin() + static_cast<std::ptrdiff_t>(at);
      last.insert(last.end(), from, from + static_cast<std::ptrdiff_t>(take));
      at += take;
    }
  }

  Error empty() const {
    const bool bad_lines = skipped_.contains("not valid JSON");
    return Error(ErrorCode::calibration_empty,
                 fmt::format("{} lines read, none gave tokens{}", data_.lines_read,
                             reasons().empty() ? "" : ": " + reasons().front()))
        .at(options_.file.string())
        .hint(bad_lines ? "a .jsonl file holds one JSON value a line: `jq -c . FILE` writes them so"
                        : "give a file with at least one prompt");
  }

  std::vector<std::string> reasons() const {
    std::vector<std::string> list;
    for (const auto& [reason, skipped] : skipped_) {
      list.push_back(fmt::format("{} {}: {} (first at {})", skipped.lines,
                                 skipped.lines == 1 ? "line" : "lines", reason, skipped.first));
    }
    return list;
  }

  void describe() {
    data_.skip_reasons = reasons();
    const Tokens& first = data_.sequences.front();
    if (const Tokenizer* tokenizer = tokenizer_if_readable()) {
      data_.has_bos = tokenizer->bos_id() >= 0 && first.front() == tokenizer->bos_id();
      data_.first_tokens_text =
          tokenizer->decode(std::span(first).first(std::min(first.size(), kTokensShown)));
    }
    std::string bytes;
    const auto put = [&](TokenId id) {
      for (unsigned k = 0; k < 4; ++k) {
        bytes += static_cast<char>(
            static_cast<unsigned char>(static_cast<std::uint32_t>(id) >> (8 * k)));
      }
    };
    for (const Tokens& sequence : data_.sequences) {
      for (const TokenId id : sequence)
        put(id);
      put(-1);
    }
    data_.ids_sha256 = io::sha256_hex(std::string_view(bytes));
  }

  const DatasetOptions& options_;
  const OpenTokenizer& open_;
  const Tokenizer* tokenizer_ = nullptr;  // once it was needed
  std::int64_t vocab_size_;
  std::optional<Template> template_;
  struct Skipped {
    std::int64_t lines = 0;
    std::string first;
  };
  std::map<std::string, Skipped> skipped_;
  Dataset data_;
};

std::vector<std::int64_t> lengths_of(const Dataset& data) {
  std::vector<std::int64_t> lengths;
  for (const Tokens& sequence : data.sequences)
    lengths.push_back(static_cast<std::int64_t>(sequence.size()));
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

}  // namespace

std::int64_t Dataset::tokens() const noexcept {
  std::int64_t sum = 0;
  for (const Tokens& sequence : sequences)
    sum += static_cast<std::int64_t>(sequence.size());
  return sum;
}

std::int64_t Dataset::min_tokens() const noexcept {
  return sequences.empty() ? 0 : lengths_of(*this).front();
}

std::int64_t Dataset::median_tokens() const noexcept {
  return sequences.empty() ? 0 : lengths_of(*this)[sequences.size() / 2];
}

std::int64_t Dataset::max_tokens() const noexcept {
  return sequences.empty() ? 0 : lengths_of(*this).back();
}

Dataset load_dataset(const DatasetOptions& options, const OpenTokenizer& tokenizer,
                     std::int64_t vocab_size) {
  return Loader(options, tokenizer, vocab_size).run();
}

}  // namespace pare::text
