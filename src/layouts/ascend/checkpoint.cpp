#include "layouts/ascend/checkpoint.h"

#include "pare/error.h"
#include "layouts/norm_copies.h"
#include "layouts/ascend/stored_linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace pare::layout {
namespace {

/// What the description says of one linear.
struct DescribedParts {
  const quant::NamedScheme* scheme = nullptr;
  std::array<bool, kPartCount> has{};
};

using Modules = std::map<std::string, DescribedParts, std::less<>>;

[[noreturn]] void refuse(const std::string& detail) {
  throw Error(ErrorCode::bad_description, detail)
      .hint("the description was damaged or made by another program: quantize again");
}

void add_part(Modules& modules, const std::string& tensor, const std::string& tag) {
  const auto split = split_part_name(tensor);
  if (!split.has_value()) {
    refuse(fmt::format("\"{}\" has type {} but no name of a quantized tensor", tensor, tag));
  }
  DescribedParts& module = modules[std::string(split->module)];
  const quant::NamedScheme* scheme = scheme_of_type(tag);
  if (module.scheme != nullptr && module.scheme != scheme) {
    refuse(fmt::format("\"{}\" has type {}, other tensors of the same module have {}", tensor, tag,
                       module.scheme->scheme_tag));
  }
  module.scheme = scheme;
  module.has[static_cast<std::size_t>(split->part)] = true;
}

/// Exactly the parts of its scheme, and perhaps those that only some linears have.
void check_complete(const std::string& name, const DescribedParts& module, Int4 int4) {
  for (const Part part : kParts) {
    const Presence presence =
        presence_of(part, module.scheme->form, module.scheme->activations, int4);
    const bool expected = presence == Presence::always;
    const bool found = module.has[static_cast<std::size_t>(part)];
    if (presence == Presence::sometimes || found == expected) continue;
    refuse(fmt::format("{} of type {} {} {}", name, module.scheme->scheme_tag,
                       expected ? "lacks" : "cannot have", name_of(part)));
  }
}

Modules read_modules(const Description& description, Int4 int4) {
  Modules modules;
  for (const auto& [tensor, tag] : description.tags) {
    if (tag != kFloatTag && norm_original(tensor).empty()) add_part(modules, tensor, tag);
  }
  for (const auto& [tensor, tag] : description.tags) {
    const auto split = split_part_name(tensor);
    if (!split.has_value() || split->part != Part::bias) continue;
    const auto found = modules.find(split->module);
    if (found != modules.end()) found->second.has[static_cast<std::size_t>(Part::bias)] = true;
  }
  for (const auto& [name, module] : modules)
    check_complete(name, module, int4);
  return modules;
}

class Checkpoint final : public QuantizedCheckpoint {
 public:
  Checkpoint(std::unique_ptr<containers::TensorSource> source, const Description& description,
             Int4 int4)
      : source_(std::move(source)),
        modules_(read_modules(description, int4)),
        int4_(int4),
        group_size_(description.group_size) {
    for (const auto& [name, tag] : description.tags) {
      const bool own = norm_original(name).empty() && !belongs_to_linear(name);
      if (tag == kFloatTag && own) floats_.emplace(name, name);
    }
    for (const std::string& copy : folded_norms(*source_)) {
      const std::string name = norm_original(copy);
      if (floats_.contains(name)) notes_.push_back(note_of_copy(name, copy));
      floats_.insert_or_assign(name, copy);
    }
  }

  std::shared_ptr<const containers::TensorSource> stored() const override { return source_; }

  std::vector<std::string> linears() const override {
    std::vector<std::string> names;
    for (const auto& [name, module] : modules_)
      names.push_back(name);
    return names;
  }

  std::vector<std::string> tensors() const override {
    std::vector<std::string> names;
    for (const auto& [name, stored] : floats_)
      names.push_back(name);
    return names;
  }

  std::vector<std::string> notes() const override { return notes_; }

  std::optional<LoadedLinear> linear(std::string_view module) const override {
    const auto entry = modules_.find(module);
    if (entry == modules_.end()) return std::nullopt;
    for_each_part(*entry, [&](Part, const std::string& name) { source_->populate(name); });
    return read_linear(found_linear(*entry));
  }

  quant::LinearHeader header(std::string_view module) const override {
    const auto entry = modules_.find(module);
    if (entry == modules_.end()) return QuantizedCheckpoint::header(module);
    return read_linear_header(found_linear(*entry));
  }

  std::optional<TensorView> tensor(std::string_view name) const override {
    const auto found = floats_.find(name);
    if (found == floats_.end()) return std::nullopt;
    return source_->read(found->second);
  }

  void release(std::string_view name) const noexcept override {
    const auto entry = modules_.find(name);
    if (entry == modules_.end()) {
      const auto found = floats_.find(name);
      return source_->release(found == floats_.end() ? name : std::string_view(found->second));
    }
    for_each_part(*entry, [&](Part, const std::string& tensor) { source_->release(tensor); });
  }

 private:
  static std::string note_of_copy(const std::string& name, const std::string& copy) {
    return fmt::format(
        "{} differs from {}: the latter counts, smoothing folded its scales into it", name, copy);
  }

  AscendParts found_linear(const Modules::value_type& entry) const {
    AscendParts found;
    found.module = entry.first;
    found.scheme = entry.second.scheme;
    found.int4 = int4_;
    found.group_size = group_size_;
    for_each_part(entry, [&](Part part, const std::string& name) {
      found[part] = source_->read(name);
    });
    return found;
  }

  bool belongs_to_linear(std::string_view name) const noexcept {
    const auto split = split_part_name(name);
    return split.has_value() && split->part == Part::bias &&
           modules_.find(split->module) != modules_.end();
  }

  template <typename Fn>
  static void for_each_part(const Modules::value_type& entry, const Fn& fn) {
    for (const Part part : kParts) {
      if (entry.second.has[static_cast<std::size_t>(part)])
        fn(part, tensor_name(entry.first, part));
    }
  }

  std::shared_ptr<const containers::TensorSource> source_;
  Modules modules_;
  std::map<std::string, std::string, std::less<>> floats_;  // name, and the stored name
  std::vector<std::string> notes_;
  Int4 int4_;
  std::int64_t group_size_;
};

}  // namespace

std::unique_ptr<QuantizedCheckpoint> make_checkpoint(std::unique_ptr<containers::TensorSource> source,
                                                     const Description& description, Int4 int4,
                                                     const std::filesystem::path& path) {
  check_same_names(description, *source, path);
  try {
    return std::make_unique<Checkpoint>(std::move(source), description, int4);
  } catch (Error& error) {
    error.at(path.string());
    throw;
  }
}

}  // namespace pare::layout
