// Models, tokenizers and texts as they are opened, and what is measured of them.
#include "pare/eval.h"

#include "containers/npy/rows_writer.h"
#include "eval/generate.h"
#include "eval/perplexity.h"
#include "eval/text_file.h"
#include "pare/error.h"
#include "pipeline/open/model_path.h"
#include "pipeline/open/open_model.h"
#include "text/datasets/dataset.h"
#include "text/tokenizer.h"
#include "text/unicode/plain_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare {

struct Tokenizer::Impl {
  std::unique_ptr<text::Tokenizer> tokenizer;
};

struct Model::Impl {
  Impl(const std::filesystem::path& folder, std::string_view compute)
      : open(pipeline::model_folder(folder),
             pipeline::parse_compute(std::string(compute), kernels::Compute::f32)) {}

  pipeline::OpenModel open;
};

struct EvalText::Impl {
  const eval::Protocol* protocol = nullptr;
  eval::Windows windows;
  std::int64_t text_tokens = 0;
  std::string ids_sha256;
};

namespace {

const model::Model& parts_of(const Model& model) { return model.impl().open.model(); }

std::string protocol_choices() {
  std::string choices;
  for (const eval::Protocol& protocol : eval::protocols()) {
    if (!choices.empty()) choices += '|';
    choices += protocol.id;
  }
  return choices;
}

std::int64_t context_of(const Context& ctx, const model::ModelConfig& config,
                        const eval::Protocol& protocol, const ParamMap& params) {
  const std::int64_t positions =
      config.max_positions > 0 ? config.max_positions : protocol.default_context;
  const std::int64_t context =
      params.integer("context", std::min(protocol.default_context, positions));
  if (context > positions) {
    ctx.warning(fmt::format("windows of {} tokens, the model was made for {} positions", context,
                            positions));
  }
  return context;
}

}  // namespace

Tokenizer::Tokenizer(const std::filesystem::path& folder)
    : impl_(std::make_unique<Impl>(Impl{text::open_tokenizer(pipeline::model_folder(folder))})) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  return impl_->tokenizer->encode(text);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  return impl_->tokenizer->decode(ids);
}

std::string Tokenizer::piece(std::int32_t id) const { return impl_->tokenizer->piece(id); }

std::string read_text_file(const std::filesystem::path& file) {
  return text::read_plain_text(file, text::Utf8Mark::keep);
}

std::string as_text(std::string bytes, const std::string& name) {
  return text::plain_text(std::move(bytes), name, text::Utf8Mark::keep);
}

Model::Model(const std::filesystem::path& folder, std::string_view compute)
    : impl_(std::make_unique<Impl>(folder, compute)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const std::filesystem::path& Model::folder() const noexcept { return impl_->open.folder(); }

const std::string& Model::kind() const noexcept { return impl_->open.kind(); }

std::string_view Model::architecture() const noexcept {
  return impl_->open.graph().config.architecture;
}

std::string_view Model::compute() const noexcept {
  return impl_->open.model().compute == kernels::Compute::f32 ? "f32" : "bf16";
}

std::int64_t Model::vocab_size() const noexcept { return impl_->open.graph().config.vocab_size; }

std::span<const ParamSpec> window_params() {
  static const std::string choices = protocol_choices();
  static const std::array specs = {
      ParamSpec{.name = "protocol",
                .type = ParamType::choice,
                .default_value = eval::protocols().front().id,
                .choices = choices,
                .help = "how the text is cut and which tokens count (`pare list protocols`)"},
      ParamSpec{.name = "context",
                .type = ParamType::integer,
                .min = 2,
                .max = 1 << 24,
                .help = "tokens per window; unset = the protocol's own (gptq 2048, llamacpp 512), "
                        "at most the model's positions"},
      ParamSpec{.name = "windows",
                .type = ParamType::integer,
                .min = 1,
                .max = 1e9,
                .help = "score only the first N windows"},
  };
  return specs;
}

EvalText::EvalText(const Context& ctx, const Model& model, const std::filesystem::path& file,
                   const ParamMap& params)
    : impl_(std::make_unique<Impl>()) {
  const std::string_view first = eval::protocols().front().id;
  impl_->protocol = &eval::find_protocol(params.text("protocol", first));
  const auto tokenizer = text::open_tokenizer(model.folder());
  const std::vector<text::TokenId> tokens = tokenizer->encode(eval::read_eval_text(file));
  impl_->text_tokens = static_cast<std::int64_t>(tokens.size());
  impl_->ids_sha256 = eval::ids_sha256(tokens);
  const text::TokenId bos = tokenizer->adds_bos() ? tokenizer->bos_id() : -1;
  const model::ModelConfig& config = parts_of(model).graph->config;
  try {
    impl_->windows = eval::make_windows(tokens, *impl_->protocol,
                                        context_of(ctx, config, *impl_->protocol, params), bos,
                                        params.integer("windows"));
  } catch (Error& failure) {
    failure.at(file.string());
    throw;
  }
}

EvalText::~EvalText() = default;
EvalText::EvalText(EvalText&&) noexcept = default;
EvalText& EvalText::operator=(EvalText&&) noexcept = default;

std::string_view EvalText::protocol() const noexcept { return impl_->protocol->id; }

std::int64_t EvalText::context() const noexcept { return impl_->windows.context; }

std::int64_t EvalText::windows() const noexcept {
  return static_cast<std::int64_t>(impl_->windows.ids.size());
}

std::int64_t EvalText::scored_tokens() const noexcept {
  return windows() * (impl_->windows.context - impl_->windows.first_target);
}

std::int64_t EvalText::text_tokens() const noexcept { return impl_->text_tokens; }

const std::string& EvalText::ids_sha256() const noexcept { return impl_->ids_sha256; }

Perplexity perplexity(const Context& ctx, const Model& model, const EvalText& text) {
  return eval::perplexity(ctx, parts_of(model), text.impl().windows);
}

Comparison compare(const Context& ctx, const Model& base, const Model& other,
                   const EvalText& text) {
  return eval::compare(ctx, parts_of(base), parts_of(other), text.impl().windows);
}

WrittenLogits write_logits(const Context& ctx, const Model& model,
                           const std::filesystem::path& input_ids,
                           const std::filesystem::path& npy) {
  text::DatasetOptions request;
  request.file = input_ids;
  const text::OpenTokenizer none = [] { return nullptr; };
  const text::Dataset data = text::load_dataset(request, none, model.vocab_size());
  containers::NpyRowsWriter writer(ctx, npy, data.tokens(), model.vocab_size());
  eval::logits_of(ctx, parts_of(model), data.sequences,
                  [&](MatrixView<const float> rows) { writer.write(rows); });
  writer.finish();
  return {static_cast<std::int64_t>(data.sequences.size()), data.tokens(), data.ids_sha256};
}

Generated generate(const Context& ctx, const Model& model, const Tokenizer& tokenizer,
                   std::string_view prompt, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& piece) {
  return eval::generate(ctx, parts_of(model), *tokenizer.impl().tokenizer, prompt, options, piece);
}

}  // namespace pare
