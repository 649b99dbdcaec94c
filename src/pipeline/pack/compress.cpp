#include "pipeline/pack/compress.h"

#include "containers/npy/reader.h"
#include "containers/packed/file.h"
#include "containers/packed/weight_ranges.h"
#include "containers/packed/writer.h"
#include "core/stopwatch.h"
#include "io/file.h"
#include "io/hash.h"
#include "io/json.h"
#include "io/lfs_pointer.h"
#include "io/output_dir.h"
#include "pare/error.h"
#include "pare/job.h"
#include "pipeline/pack/nibbles.h"
#include "pipeline/pack/packed_texts.h"
#include "pipeline/pack/pseudo_sparse.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSafetensorsEnding = ".safetensors";
constexpr std::string_view kNpyEnding = ".npy";
constexpr std::string_view kIndexEnding = ".safetensors.index.json";
constexpr std::string_view kDescriptionBegin = "quant_model_description";
constexpr std::int64_t kMiB = 1 << 20;

/// A weight file that will be packed.
struct InputFile {
  std::string name;
  std::string stored;
  std::size_t bytes = 0;
  std::vector<containers::TensorRange> ranges;
};

struct Listing {
  std::vector<std::string> others;  // relative names of everything else, sorted
  std::vector<InputFile> weights;   // by name
  std::set<std::string> tensors;    // of all weight files
};

[[noreturn]] void refuse_packed(const fs::path& place) {
  throw Error(ErrorCode::bad_usage, "the weights are packed already")
      .at(place.string())
      .hint("`pare decompress` gives the original files back");
}

/// Every regular file below the folder, links to files followed.
std::vector<std::string> all_files(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->is_directory() && !entry->is_symlink()) continue;
    if (!entry->is_regular_file()) {
      throw Error(ErrorCode::feature_not_supported, "neither a file nor a folder")
          .at(entry->path().string())
          .hint("links to folders, broken links and devices cannot be packed: remove it first");
    }
    names.push_back(entry->path().lexically_relative(folder).generic_string());
  }
  if (error) throw Error(ErrorCode::file_io, error.message()).at(folder.string());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_top_level(const std::string& name) { return name.find('/') == std::string::npos; }

std::optional<InputFile> open_weights(const fs::path& folder, const std::string& name,
                                      const std::vector<std::string>& all) {
  const bool npy = name.ends_with(kNpyEnding);
  if (!is_top_level(name) || (!npy && !name.ends_with(kSafetensorsEnding))) return std::nullopt;
  const io::MappedFile file(folder / name);
  InputFile weights{name, name, file.bytes().size(), {}};
  if (npy) {
    weights.stored = containers::packed_npy_name(name).string();
    if (std::binary_search(all.begin(), all.end(), weights.stored)) return std::nullopt;
    std::optional<std::vector<containers::TensorRange>> ranges = containers::npy_dict_ranges(file);
    if (!ranges) return std::nullopt;
    weights.ranges = std::move(*ranges);
  } else {
    if (containers::is_packed_file(file.path())) refuse_packed(file.path());
    weights.ranges = containers::safetensors_ranges(file);
  }
  return weights;
}

[[noreturn]] void refuse_without_weights(const fs::path& folder,
                                         const std::vector<std::string>& files) {
  const auto gguf = std::find_if(files.begin(), files.end(),
                                 [](const std::string& name) { return name.ends_with(".gguf"); });
  if (gguf != files.end()) {
    throw Error(ErrorCode::feature_not_supported, fmt::format("weights in {}", *gguf))
        .at(folder.string())
        .hint("llama.cpp reads GGUF files only as they are: compress the folder it was made from");
  }
  throw Error(ErrorCode::file_not_found, "no weights (*.safetensors, *.npy) in the folder")
      .at(folder.string())
      .hint("give the folder that holds them");
}

Listing list_folder(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    const bool exists = fs::exists(folder, ignored);
    throw Error(ErrorCode::file_not_found, exists ? "the model is not a folder" : "no such folder")
        .at(folder.string())
        .hint("give the folder that holds the weights");
  }
  if (is_packed_folder(folder)) refuse_packed(folder);
  Listing listing;
  const std::vector<std::string> all = all_files(folder);
  for (const std::string& name : all) {
    if (name.starts_with(std::string(kOriginalsFolder) + "/")) {
      throw Error(ErrorCode::feature_not_supported,
                  fmt::format("it has a folder called \"{}\"", kOriginalsFolder))
          .at(folder.string())
          .hint("packed folders keep files of their own there: rename it first");
    }
    std::optional<InputFile> weights = open_weights(folder, name, all);
    if (!weights) {
      listing.others.push_back(name);
      continue;
    }
    for (const containers::TensorRange& range : weights->ranges) {
      listing.tensors.insert(range.info.name);
    }
    listing.weights.push_back(std::move(*weights));
  }
  if (listing.weights.empty()) refuse_without_weights(folder, all);
  return listing;
}

bool matches_tensor(const std::string& pattern, const std::string& tensor) {
  return matches_pattern(pattern, tensor) ||
         matches_pattern(pattern, containers::packed_module(tensor));
}

void check_patterns(const CompressJob& job, const Listing& listing) {
  for (const std::string& pattern : job.disable) {
    const bool matched =
        std::any_of(listing.tensors.begin(), listing.tensors.end(),
                    [&](const std::string& tensor) { return matches_tensor(pattern, tensor); });
    if (matched) continue;
    std::vector<std::string> known;
    for (const std::string& tensor : listing.tensors) {
      known.emplace_back(containers::packed_module(tensor));
    }
    const std::string near = closest_match(pattern, known);
    throw Error(ErrorCode::pattern_matches_nothing,
                fmt::format("compress_disable_layers \"{}\"", pattern))
        .hint(near.empty() ? "`pare inspect --names` lists the tensors"
                           : fmt::format("did you mean \"{}\"?", near));
  }
}

unsigned mode_of(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (error) throw Error(ErrorCode::file_io, error.message()).at(path.string());
  return static_cast<unsigned>(status.permissions() & fs::perms::mask);
}

/// One run of `pare compress`.
class Compressor {
 public:
  Compressor(const Context& ctx, const CompressJob& job)
      : ctx_(ctx), job_(job), listing_(list_folder(job.model)) {
    check_patterns(job, listing_);
    nibbles_ = nibble_tensors(job.model);
    for (const InputFile& file : listing_.weights) {
      result_.weight_bytes += file.bytes;
    }
  }

  CompressResult run() {
    const Stopwatch watch;
    io::OutputDir out(ctx_, job_.out, job_.overwrite);
    folder_ = out.path();
    for (const InputFile& file : listing_.weights)
      pack(file);
    for (const std::string& name : listing_.others)
      keep(name);
    finish_list();
    ctx_.check_cancelled();
    out.commit();
    result_.seconds = watch.seconds();
    result_.peak_rss = peak_rss_bytes();
    return std::move(result_);
  }

 private:
  void pack(const InputFile& file);
  void prove(const InputFile& file, const std::string& sha256) const;
  void report(const InputFile& file, const containers::PackedResult& packed);
  containers::PackOptions options(const InputFile& file) const;
  void keep(const std::string& name);
  std::optional<std::string> rewritten(const std::string& name) const;
  void finish_list();

  const Context& ctx_;
  const CompressJob& job_;
  Listing listing_;
  std::set<std::string> nibbles_;
  fs::path folder_;
  std::vector<PackedNames> packed_;
  CompressedFolder list_;
  CompressResult result_;
};

containers::PackOptions Compressor::options(const InputFile& file) const {
  containers::PackOptions options;
  options.tier = job_.tier;
  options.mode = mode_of(job_.model / file.name);
  options.taken = &listing_.tensors;
  options.leave = [this](const containers::TensorInfo& info) {
    return std::any_of(job_.disable.begin(), job_.disable.end(), [&](const std::string& pattern) {
      return matches_tensor(pattern, info.name);
    });
  };
  options.content = [this](const containers::TensorInfo& info) {
    const bool nibbles = info.dtype == DType::f4 || nibbles_.contains(info.name);
    return nibbles ? codec::Content::packed_nibbles : codec::Content::elements;
  };
  if (job_.sparse) {
    options.replace = [this, leave = options.leave](const containers::TensorInfo& info,
                                                    std::span<const std::byte> bytes) {
      return leave(info) ? std::nullopt : pseudo_sparse(*job_.sparse, info, bytes);
    };
  }
  std::size_t before = 0;
  for (const InputFile& other : listing_.weights) {
    if (other.name < file.name) before += other.bytes;
  }
  const std::size_t packed_before = result_.packed_bytes;
  options.progress = [this, before, packed_before](const std::string& tensor, std::size_t done,
                                                   std::size_t written) {
    const auto all = static_cast<double>(before + done);
    ctx_.progress({.stage = "compressing, MiB",
                   .item = tensor,
                   .done = static_cast<std::int64_t>(before + done) / kMiB,
                   .total = static_cast<std::int64_t>(result_.weight_bytes) / kMiB,
                   .note = fmt::format("ratio {:.4f} so far",
                                       static_cast<double>(packed_before + written) / all)});
  };
  return options;
}

void Compressor::pack(const InputFile& file) {
  const fs::path path = job_.model / file.name;
  const io::MappedFile original(path);
  if (original.bytes().size() != file.bytes) {
    throw Error(ErrorCode::file_io, "the file changed while it was read").at(path.string());
  }
  const containers::PackedResult packed =
      containers::pack_file(ctx_, original, file.ranges, folder_ / file.stored, options(file));
  prove(file, packed.sha256);
  result_.packed_bytes += packed.packed_bytes;
  list_.files.push_back({.name = file.name,
                         .stored = file.stored,
                         .size = packed.original_bytes,
                         .sha256 = packed.sha256,
                         .mode = mode_of(path),
                         .kept = Kept::packed,
                         .rewritten_sha256 = {}});
  report(file, packed);
}

/// Decodes what was written and compares it with what was read.
void Compressor::prove(const InputFile& file, const std::string& sha256) const {
  ctx_.progress({.stage = "verifying", .item = file.stored, .done = 0, .total = 0, .note = {}});
  io::Sha256 sha;
  try {
    const containers::PackedFile packed(folder_ / file.stored);
    packed.rebuild(ctx_, [&](std::span<const std::byte> bytes) { sha.update(bytes); });
  } catch (const Error& failure) {
    if (failure.code() != ErrorCode::corrupt_stream) throw;
    throw Error(ErrorCode::verify_failed, failure.detail()).at(file.stored);
  }
  if (sha.hex() == sha256) return;
  throw Error(ErrorCode::verify_failed, "the packed file does not give the original back")
      .at(file.stored)
      .hint("nothing was kept; the disk or the program is at fault, please report it");
}

void Compressor::report(const InputFile& file, const containers::PackedResult& packed) {
  PackedNames names{file.name, file.stored, {}, 0};
  for (const containers::PackedTensor& tensor : packed.tensors) {
    const std::size_t from = tensor.info.nbytes();
    names.stored_bytes += tensor.stored_bytes;
    if (tensor.coded) names.coded.push_back(tensor.info.name);
    result_.tensors.push_back(
        {file.name, tensor.info.name, from, tensor.stored_bytes, tensor.coded});
    const double ratio =
        from == 0 ? 1 : static_cast<double>(tensor.stored_bytes) / static_cast<double>(from);
    ctx_.event("tensor", io::Json{{"file", file.name},
                                  {"name", tensor.info.name},
                                  {"from", from},
                                  {"to", tensor.stored_bytes},
                                  {"ratio", ratio},
                                  {"coded", tensor.coded}}
                             .dump());
  }
  packed_.push_back(std::move(names));
}

/// The new text of a small file that speaks of tensors, when packing changes what it has to say.
std::optional<std::string> Compressor::rewritten(const std::string& name) const {
  const bool description = name.starts_with(kDescriptionBegin) && name.ends_with(".json");
  if (!is_top_level(name) || (!description && !name.ends_with(kIndexEnding))) return std::nullopt;
  try {
    const io::Json json = io::read_json_as_spelled(job_.model / name);
    return description ? packed_description(json, packed_) : packed_index(json, packed_);
  } catch (const Error& failure) {
    if (failure.code() != ErrorCode::bad_json && failure.code() != ErrorCode::lfs_pointer) throw;
    return std::nullopt;  // it was of no use before either
  }
}

void Compressor::keep(const std::string& name) {
  const fs::path from = job_.model / name;
  if (io::is_lfs_pointer_file(from)) ctx_.warning(io::lfs_pointer_warning(name));
  OriginalFile file{.name = name,
                    .stored = name,
                    .size = fs::file_size(from),
                    .sha256 = {},
                    .mode = mode_of(from),
                    .kept = Kept::copied,
                    .rewritten_sha256 = {}};
  const std::optional<std::string> text = rewritten(name);
  if (text) {
    file.kept = Kept::aside;
    file.stored = fmt::format("{}/{}", kOriginalsFolder, name);
    io::write_text(folder_ / name, *text, file.mode);
    file.rewritten_sha256 = io::sha256_hex(*text);
  }
  const fs::path to = folder_ / file.stored;
  fs::create_directories(to.parent_path());
  if (text) fs::permissions(to.parent_path(), static_cast<fs::perms>(0750));
  file.sha256 = copy_file(ctx_, from, to, file.mode);
  list_.files.push_back(std::move(file));
}

void Compressor::finish_list() {
  constexpr unsigned kListMode = 0640;
  list_.tier = job_.tier == codec::Tier::fast ? "fast" : "dense";
  list_.changed = job_.sparse;
  list_.weight_bytes = result_.weight_bytes;
  list_.packed_bytes = result_.packed_bytes;
  std::sort(list_.files.begin(), list_.files.end(),
            [](const OriginalFile& a, const OriginalFile& b) { return a.name < b.name; });
  for (const OriginalFile& file : list_.files)
    result_.folder_bytes += file.size;
  io::write_text(folder_ / kPackedFolderFile, packed_folder_text(list_), kListMode);
  for (const std::string& name : all_files(folder_)) {
    result_.packed_folder_bytes += fs::file_size(folder_ / name);
  }
}

}  // namespace

CompressResult compress(const Context& ctx, const CompressJob& job) {
  return Compressor(ctx, job).run();
}

}  // namespace pare::pipeline
