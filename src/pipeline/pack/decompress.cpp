// The way back from a packed folder: every file, byte for byte.
#include "containers/packed/file.h"
#include "core/stopwatch.h"
#include "io/file.h"
#include "io/file_writer.h"
#include "io/hash.h"
#include "io/output_dir.h"
#include "pare/error.h"
#include "pipeline/pack/compress.h"

#include <fmt/format.h>

#include <string>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_hash(const fs::path& stored) {
  throw Error(ErrorCode::corrupt_stream, "its SHA-256 is not the recorded one")
      .at(stored.string())
      .hint("the file was damaged or changed after packing: copy the folder again");
}

void unpack(const Context& ctx, const fs::path& stored, const OriginalFile& file,
            const fs::path& to) {
  const containers::PackedFile packed(stored);
  if (packed.manifest().sha256 != file.sha256 || packed.manifest().size != file.size) {
    throw Error(ErrorCode::corrupt_stream,
                fmt::format("it stands for another file than {} says", kPackedFolderFile))
        .at(stored.string())
        .hint("files of two packed folders were mixed: copy the folder again");
  }
  io::FileWriter target(to);
  io::Sha256 sha;
  packed.rebuild(ctx, [&](std::span<const std::byte> bytes) {
    sha.update(bytes);
    target.write(bytes);
  });
  if (sha.hex() != file.sha256) fail_hash(stored);
  target.finish(file.mode);
}

void restore(const Context& ctx, const fs::path& packed, const OriginalFile& file,
             const fs::path& out) {
  const fs::path stored = packed / file.stored;
  const fs::path to = out / file.name;
  fs::create_directories(to.parent_path());
  if (file.kept == Kept::packed) return unpack(ctx, stored, file, to);
  if (copy_file(ctx, stored, to, file.mode) != file.sha256) fail_hash(stored);
  if (file.kept != Kept::aside) return;
  const fs::path rewritten = packed / file.name;
  if (io::sha256_hex(io::read_text(rewritten)) != file.rewritten_sha256) fail_hash(rewritten);
}

}  // namespace

DecompressResult decompress(const Context& ctx, const DecompressJob& job) {
  const Stopwatch watch;
  const CompressedFolder packed = read_packed_folder(job.packed);
  DecompressResult result;
  std::size_t total = 0;
  for (const OriginalFile& file : packed.files)
    total += file.size;
  io::OutputDir out(ctx, job.out, job.overwrite);
  for (const OriginalFile& file : packed.files) {
    ctx.progress({.stage = "decompressing, MiB",
                  .item = file.name,
                  .done = static_cast<std::int64_t>(result.bytes >> 20),
                  .total = static_cast<std::int64_t>(total >> 20),
                  .note = {}});
    restore(ctx, job.packed, file, out.path());
    ++result.files;
    result.bytes += file.size;
  }
  ctx.check_cancelled();
  out.commit();
  result.changed = packed.changed;
  result.seconds = watch.seconds();
  result.peak_rss = peak_rss_bytes();
  return result;
}

}  // namespace pare::pipeline
