#include "pipeline/pack/export_dat.h"

#include "containers/packed/manifest.h"
#include "core/stopwatch.h"
#include "io/file.h"
#include "io/file_writer.h"
#include "io/json.h"
#include "io/output_dir.h"
#include "pare/error.h"
#include "pare/job.h"
#include "pipeline/open/weight_source.h"
#include "pipeline/pack/nibbles.h"
#include "pipeline/pack/nz_layout.h"
#include "pipeline/pack/pseudo_sparse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kFolders = {"weight", "index", "info", "codec"};
constexpr std::string_view kWeightEnding = ".weight";
constexpr std::string_view kEnding = ".dat";
constexpr unsigned kDatMode = 0400;
constexpr std::size_t kMaxFileName = 255;
constexpr std::int64_t kBatchTiles = 256;
/// 8 x 8 blocks of 16 x 32: what the original's info says before its executable sets it.
constexpr std::int64_t kTiling = 8;

/// 4-bit codes two to a byte are no int8 matrix to tile.
void refuse_nibbles(const fs::path& folder) {
  const std::set<std::string> tensors = nibble_tensors(folder);
  if (tensors.empty()) return;
  throw Error(ErrorCode::scheme_not_supported,
              fmt::format("{} holds 4-bit codes, two to a byte", *tensors.begin()))
      .at(folder.string())
      .hint("blocks of 16 x 32 need one code to a byte: quantize with --format ascend or npy");
}

std::string key_of(const std::string& tensor, bool full_name) {
  const std::string module(containers::packed_module(tensor));
  std::string key = full_name ? module + std::string(kWeightEnding) : module;
  const bool plain = key != "." && key != ".." && key.find('/') == std::string::npos &&
                     key.size() + kEnding.size() <= kMaxFileName;
  if (plain) return key;
  throw Error(ErrorCode::feature_not_supported, fmt::format("\"{}\" is no file name", key))
      .hint("weights are exported into files called like them");
}

/// Matrices of int8 codes: of dictionaries all, else those called like weights.
std::vector<std::string> int8_matrices(const containers::TensorSource& source,
                                       const fs::path& path) {
  const bool dictionary = path.extension() == ".npy";
  std::vector<std::string> names;
  for (const containers::TensorInfo& info : source.tensors()) {
    const bool matrix = info.dtype == DType::i8 && info.shape.rank() == 2 && info.nbytes() > 0;
    if (matrix && (dictionary || info.name.ends_with(kWeightEnding))) names.push_back(info.name);
  }
  if (!names.empty()) return names;
  throw Error(ErrorCode::scheme_not_supported, "there are no int8 weight matrices")
      .at(path.string())
      .hint("give what `pare quantize` wrote for an 8-bit scheme such as w8a8s");
}

bool matches(const std::string& pattern, const std::string& tensor) {
  return matches_pattern(pattern, tensor) ||
         matches_pattern(pattern, containers::packed_module(tensor));
}

std::set<std::string> disabled_weights(const std::vector<std::string>& patterns,
                                       const std::vector<std::string>& weights) {
  std::set<std::string> disabled;
  for (const std::string& pattern : patterns) {
    bool matched = false;
    for (const std::string& weight : weights) {
      if (!matches(pattern, weight)) continue;
      matched = true;
      disabled.insert(weight);
    }
    if (matched) continue;
    const std::string near = closest_match(pattern, weights);
    throw Error(ErrorCode::pattern_matches_nothing,
                fmt::format("compress_disable_layers \"{}\"", pattern))
        .hint(near.empty() ? "patterns are held against the int8 matrices"
                           : fmt::format("did you mean \"{}\"?", near));
  }
  return disabled;
}

std::vector<std::byte> little_endian(std::span<const std::int64_t> values) {
  std::vector<std::byte> bytes;
  for (const std::int64_t value : values) {
    for (unsigned i = 0; i < 8; ++i) {
      bytes.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xFFU));
    }
  }
  return bytes;
}

class DatWriter {
 public:
  DatWriter(const Context& ctx, const ExportDatJob& job, fs::path folder)
      : ctx_(ctx), job_(job), folder_(std::move(folder)) {
    for (const std::string_view name : kFolders) {
      fs::create_directory(folder_ / name);
      fs::permissions(folder_ / name, static_cast<fs::perms>(0750));
    }
  }

  DatWeight write(const TensorView& view, const std::string& name, bool disabled) {
    DatWeight weight;
    weight.key = key_of(name, job_.full_names);
    weight.rows = view.shape[job_.transpose ? 1 : 0];
    weight.columns = view.shape[job_.transpose ? 0 : 1];
    std::span<const std::byte> bytes = view.data;
    std::optional<std::vector<std::byte>> masked;
    if (job_.sparse && !disabled) {
      masked = pseudo_sparse(*job_.sparse, {name, view.dtype, view.shape}, bytes);
      bytes = *masked;
    }
    const std::vector<std::byte> nz =
        to_nz(ctx_, bytes, weight.rows, weight.columns, job_.transpose);
    masked.reset();
    if (disabled || !write_coded(weight, nz)) write_plain(weight, nz);
    const std::array<std::int64_t, 5> info = {kTiling, kTiling, weight.columns, weight.rows, 1};
    put("info", weight.key, little_endian(info));
    return weight;
  }

 private:
  fs::path file(std::string_view kind, const std::string& key) const {
    return folder_ / kind / (key + std::string(kEnding));
  }

  void put(std::string_view kind, const std::string& key, std::span<const std::byte> bytes) const {
    io::FileWriter writer(file(kind, key));
    writer.write(bytes);
    writer.finish(kDatMode);
  }

  void write_plain(DatWeight& weight, std::span<const std::byte> nz) const {
    put("weight", weight.key, nz);
    put("index", weight.key, {});
    put("codec", weight.key, {});
    weight.stored = nz.size();
  }

  /// False, with no file left, when coding does not pay.
  bool write_coded(DatWeight& weight, std::span<const std::byte> nz) const;

  const Context& ctx_;
  const ExportDatJob& job_;
  fs::path folder_;
};

bool DatWriter::write_coded(DatWeight& weight, std::span<const std::byte> nz) const {
  const std::int64_t column_blocks = (weight.columns + kFractalColumns - 1) / kFractalColumns;
  const std::int64_t row_blocks = (weight.rows + kFractalRows - 1) / kFractalRows;
  const TensorView view{DType::i8, Shape{column_blocks, row_blocks, kFractalRows, kFractalColumns},
                        nz, nullptr};
  codec::TensorEncoder encoder(ctx_, view, job_.tier, codec::Content::elements);
  io::FileWriter writer(file("weight", weight.key));
  RawBytes payload;
  for (std::int64_t first = 0; first < encoder.tiles(); first += kBatchTiles) {
    ctx_.check_cancelled();
    payload.clear();
    encoder.encode(ctx_, std::min(kBatchTiles, encoder.tiles() - first), payload);
    writer.write(payload);
    weight.stored += payload.size();
  }
  writer.finish(kDatMode);
  if (!encoder.worthwhile()) {
    fs::remove(file("weight", weight.key));
    return false;
  }
  std::vector<std::byte> index;
  for (const codec::TileEntry& tile : encoder.index()) {
    for (const std::uint32_t word : {tile.offset, tile.checksum}) {
      for (unsigned i = 0; i < 4; ++i) {
        index.push_back(static_cast<std::byte>(word >> (8 * i) & 0xFFU));
      }
    }
  }
  put("index", weight.key, index);
  put("codec", weight.key, encoder.info());
  weight.coded = true;
  return true;
}

/// pare_dat.json: what lies in the folders, for readers that do not know the keys.
std::string summary(const ExportDatJob& job, const ExportDatResult& result) {
  io::Json json = {
      {"pare_dat", 1}, {"codec_version", codec::kVersion}, {"transposed", job.transpose}};
  if (job.sparse) {
    json["pseudo_sparse"] = {{"ratio", job.sparse->ratio}, {"seed", job.sparse->seed}};
  }
  json["weights"] = io::Json::array();
  for (const DatWeight& weight : result.weights) {
    json["weights"].push_back({{"key", weight.key},
                               {"n", weight.rows},
                               {"k", weight.columns},
                               {"bytes", weight.stored},
                               {"coded", weight.coded}});
  }
  return json.dump(2) + "\n";
}

}  // namespace

ExportDatResult export_dat(const Context& ctx, const ExportDatJob& job) {
  const Stopwatch watch;
  const auto source = open_weight_source(job.model);
  refuse_nibbles(job.model);
  const std::vector<std::string> names = int8_matrices(*source, job.model);
  const std::set<std::string> disabled = disabled_weights(job.disable, names);
  io::OutputDir out(ctx, job.out, job.overwrite);
  DatWriter writer(ctx, job, out.path());
  ExportDatResult result;
  result.left_out = source->tensors().size() - names.size();
  for (const std::string& name : names) {
    ctx.check_cancelled();
    ctx.progress({.stage = "compressing",
                  .item = name,
                  .done = static_cast<std::int64_t>(result.weights.size()),
                  .total = static_cast<std::int64_t>(names.size()),
                  .note = {}});
    const DatWeight weight = writer.write(source->read(name), name, disabled.contains(name));
    source->release(name);
    const auto bytes = static_cast<std::size_t>(weight.rows * weight.columns);
    result.from += bytes;
    result.to += weight.stored;
    ctx.event(
        "weight",
        io::Json{
            {"key", weight.key}, {"from", bytes}, {"to", weight.stored}, {"coded", weight.coded}}
            .dump());
    result.weights.push_back(weight);
  }
  constexpr unsigned kSummaryMode = 0640;
  io::write_text(out.path() / "pare_dat.json", summary(job, result), kSummaryMode);
  ctx.check_cancelled();
  out.commit();
  result.seconds = watch.seconds();
  return result;
}

}  // namespace pare::pipeline
