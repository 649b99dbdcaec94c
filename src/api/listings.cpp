// What this build can do, straight from the tables of descriptors.
#include "check/rule.h"
#include "check/target.h"
#include "containers/tensor_source.h"
#include "eval/perplexity.h"
#include "kernels/gemm.h"
#include "layouts/layout.h"
#include "model/architecture.h"
#include "pare/quantize.h"
#include "quant/method.h"
#include "quant/named_schemes.h"
#include "text/tokenizer.h"

namespace pare {
namespace {

using Entries = std::vector<Entry>;

template <typename Table>
Entries from_table(const Table& table) {
  Entries entries;
  for (const auto* entry : table)
    entries.push_back({entry->id, entry->summary});
  return entries;
}

Entries schemes() {
  Entries entries;
  for (const quant::NamedScheme& scheme : quant::named_schemes()) {
    entries.push_back({scheme.id, scheme.summary});
  }
  return entries;
}

Entries methods() {
  Entries entries;
  for (const quant::Method* m : quant::methods()) {
    entries.push_back({m->id, m->summary, m->params, m->source});
  }
  return entries;
}

Entries layouts() {
  Entries entries;
  for (const layout::Layout* l : layout::layouts()) {
    entries.push_back({l->id, l->summary, l->params});
  }
  return entries;
}

Entries protocols() {
  Entries entries;
  for (const eval::Protocol& p : eval::protocols())
    entries.push_back({p.id, p.summary});
  return entries;
}

Entries targets() {
  Entries entries;
  for (const check::Target* t : check::targets()) {
    entries.push_back(
        {.id = t->id, .summary = t->summary, .source = t->source, .layouts = t->layouts});
  }
  return entries;
}

Entries rules() {
  Entries entries;
  for (const check::Rule* rule : check::rules()) {
    entries.push_back({.id = rule->id,
                       .summary = rule->summary,
                       .source = rule->source,
                       .layouts = rule->layouts,
                       .targets = rule->targets});
  }
  return entries;
}

}  // namespace

std::vector<Listing> listings() {
  return {
      {"schemes", "schemes: what a linear layer is quantized to", schemes()},
      {"methods", "methods: how a weight becomes codes", methods()},
      {"archs", "archs: architectures that can be run", from_table(model::architectures())},
      {"exporters", "exporters: layouts that can be written and read back", layouts()},
      {"readers", "readers: checkpoint containers", from_table(containers::readers())},
      {"tokenizers", "tokenizers: kinds of tokenizer files", from_table(text::tokenizer_kinds())},
      {"protocols", "protocols: how perplexity is measured", protocols()},
      {"targets", "targets: engines that `pare check` knows", targets()},
      {"rules", "rules: what `pare check` holds a folder against", rules()},
  };
}

InstructionSets instruction_sets() {
  InstructionSets sets;
  for (const kernels::Isa isa : kernels::available_isas()) {
    sets.available.push_back(kernels::isa_name(isa));
  }
  sets.in_use = kernels::isa_name(kernels::current_isa());
  return sets;
}

}  // namespace pare
