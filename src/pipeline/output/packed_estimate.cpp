// What `pare compress` would make of an output, from a few tiles of its files.
#include "layouts/layout.h"
#include "model/graph.h"
#include "pare/codec.h"
#include "pipeline/output/code_stats.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace pare::pipeline {
namespace {

using containers::TensorInfo;

/// Tensors that look alike to a compressor: part of a module, type, two codes to a byte or not.
struct Kind {
  std::string part;
  DType dtype = DType::u8;
  codec::Content content = codec::Content::elements;

  friend bool operator<(const Kind& a, const Kind& b) {
    return std::tie(a.part, a.dtype, a.content) < std::tie(b.part, b.dtype, b.content);
  }
};

constexpr std::size_t kTensorsLookedAt = 16;  // of a kind, spread over the model
constexpr std::size_t kTilesLookedAt = 8;     // of a tensor
constexpr std::size_t kTileEntryBytes = 8;
/// Tensors below this are never coded. See containers/packed/writer.cpp.
constexpr std::size_t kSmallestCoded = 512;
constexpr std::size_t kHeaderShare = 160;

/// Sizes of what was coded, and how it was said.
struct Sizes {
  std::size_t plain = 0;
  std::size_t coded = 0;
  std::size_t info = 0;

  double share() const noexcept {
    return plain == 0 ? 1 : static_cast<double>(coded) / static_cast<double>(plain);
  }
};

class Estimator {
 public:
  Estimator(const Context& ctx, const layout::OutputPlan& plan,
            std::shared_ptr<const containers::TensorSource> files)
      : ctx_(ctx), files_(std::move(files)) {
    for (const layout::OutputEntry& entry : plan.entries) {
      if (entry.linear.has_value()) linears_.emplace(entry.linear->name, &*entry.linear);
    }
    for (const TensorInfo& info : files_->tensors()) {
      plain_ += info.nbytes();
      if (info.nbytes() < kSmallestCoded) {
        coded_ += info.nbytes();
      } else {
        kinds_[kind_of(info)].push_back(&info);
      }
    }
  }

  /// Of all tensors coded, from files of so many bytes.
  std::size_t run(std::size_t file_bytes) {
    for (const auto& [kind, tensors] : kinds_)
      coded_ += coded_bytes(kind, tensors);
    return file_bytes - std::min(plain_, file_bytes) + coded_;
  }

 private:
  Kind kind_of(const TensorInfo& info) const {
    const std::string module = model::module_of(info.name);
    Kind kind{info.name.substr(module.size()), info.dtype};
    const auto linear = linears_.find(module);
    if (linear == linears_.end()) {
      kind.part = info.shape.rank() > 1 ? "float matrix" : "float vector";
      return kind;
    }
    const auto weights = static_cast<std::size_t>(linear->second->out * linear->second->in);
    const bool nibbles = size_of(info.dtype) == 1 && info.nbytes() * 2 == weights &&
                         linear->second->scheme.weight_bits == 4;
    if (nibbles) kind.content = codec::Content::packed_nibbles;
    return kind;
  }

  /// A run of whole tiles in the middle of a tensor, or all of a small one.
  Sizes sample(const Kind& kind, const TensorInfo& info) const {
    TensorView view = files_->read(info.name);
    if (size_of(view.dtype) == 0) {  // of less than a byte, or unknown: coded as bytes
      view.dtype = DType::u8;
      view.shape = Shape{static_cast<std::int64_t>(view.data.size())};
    }
    const std::size_t tiles = view.data.size() / codec::kTileBytes;
    if (tiles > kTilesLookedAt) {
      const std::size_t first = (tiles - kTilesLookedAt) / 2;
      view.data = view.data.subspan(first * codec::kTileBytes, kTilesLookedAt * codec::kTileBytes);
      view.shape = Shape{static_cast<std::int64_t>(view.data.size() / size_of(view.dtype))};
    }
    codec::TensorEncoder encoder(ctx_, view, codec::Tier::dense, kind.content);
    RawBytes payload;
    encoder.encode(ctx_, encoder.tiles(), payload);
    Sizes sizes{.plain = view.data.size(), .coded = view.data.size(), .info = 0};
    if (encoder.worthwhile()) {
      sizes.coded = payload.size() + kTileEntryBytes * static_cast<std::size_t>(encoder.tiles());
      sizes.info = encoder.info().size() + kHeaderShare;
    }
    files_->release(info.name);
    return sizes;
  }

  std::size_t coded_bytes(const Kind& kind, const std::vector<const TensorInfo*>& tensors) const {
    Sizes seen;
    const std::size_t count = std::min(kTensorsLookedAt, tensors.size());
    for (std::size_t i = 0; i < count; ++i) {
      ctx_.check_cancelled();
      const Sizes one = sample(kind, *tensors[i * tensors.size() / count]);
      seen.plain += one.plain;
      seen.coded += one.coded;
      seen.info += one.info;
    }
    const double info = static_cast<double>(seen.info) / static_cast<double>(count);
    double sum = 0;
    for (const TensorInfo* tensor : tensors) {
      const auto bytes = static_cast<double>(tensor->nbytes());
      sum += std::min(bytes, bytes * seen.share() + info);
    }
    return static_cast<std::size_t>(std::llround(sum));
  }

  const Context& ctx_;
  std::shared_ptr<const containers::TensorSource> files_;
  std::map<std::string, const quant::LinearHeader*, std::less<>> linears_;
  std::map<Kind, std::vector<const TensorInfo*>> kinds_;
  std::size_t plain_ = 0;
  std::size_t coded_ = 0;
};

}  // namespace

std::size_t estimate_packed(const Context& ctx, const layout::OutputPlan& plan,
                            const std::filesystem::path& folder, std::size_t bytes) {
  return Estimator(ctx, plan, plan.layout->open(folder)->stored()).run(bytes);
}

}  // namespace pare::pipeline
