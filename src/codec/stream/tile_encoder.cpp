#include "codec/stream/tile_encoder.h"

#include "codec/rans/chunk_index.h"
#include "codec/rans/kernel_choice.h"
#include "codec/stream/little_endian.h"
#include "codec/stream/quiet_chunks.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pare::codec::detail {

namespace {

constexpr std::size_t kMostSymbols = 2 * kTileBytes;
constexpr std::size_t kNibbleBlock = 128;
constexpr std::size_t kMostCount = 65535;  // the header's counts have 16 bits
// Renorm bytes are made backwards from here; header and states go before them, the rest behind.
constexpr std::size_t kRenormEnd = kMostSymbols + kSlack + 256;
// Room for whatever a tile of every section can come to, before it is compared with raw.
constexpr std::size_t kOutRoom = kRenormEnd + 5 * kMostSymbols + 1024;

const std::uint8_t* as_u8(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

bool all_equal(std::span<const std::byte> bytes) {
  return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// The symbol that fills a last chunk in the fewest bits.
std::uint8_t padding_symbol(const RansTable& table) {
  const auto* best = std::max_element(table.freqs.begin(), table.freqs.begin() + table.n);
  const auto index = static_cast<std::size_t>(best - table.freqs.begin());
  const unsigned u = table.pair
                         ? table.pairs[index] >> 3U
                         : static_cast<unsigned>(index) << static_cast<unsigned>(table.shift);
  return static_cast<std::uint8_t>(table.base + u);
}

}  // namespace

SymbolBuffer::SymbolBuffer() : symbols_(kMostSymbols), low_store_(kTileBytes) {}

std::span<const std::uint8_t> SymbolBuffer::split(Transform transform, std::size_t element,
                                                  std::span<const std::byte> bytes) {
  const CodecKernels& kernels = current_kernels();
  const std::size_t count = symbols_in(transform, element, bytes.size());
  low_ = std::span(low_store_).first(low_bytes_in(transform, element, bytes.size()));
  if (transform == Transform::bytes) return {as_u8(bytes), count};
  if (transform == Transform::nibbles) {
    kernels.split_nibbles(as_u8(bytes), bytes.size(), symbols_.data());
  } else {
    kernels.split_floats(as_u8(bytes), count, static_cast<int>(element), symbols_.data(),
                         low_store_.data());
  }
  return std::span(symbols_).first(count);
}

TileEncoder::TileEncoder()
    : pad_(kMostSymbols),
      escapes_(kMostSymbols + kSlack),
      section_(4 * kMostSymbols + kSlack),
      planes_(3 * kMostSymbols / 8),
      out_(kOutRoom) {}

std::size_t TileEncoder::put(std::size_t at, const std::uint8_t* bytes, std::size_t count) {
  if (count != 0) std::memcpy(out_.data() + at, bytes, count);
  return at + count;
}

// `symbols` themselves when they are whole blocks, else a copy filled up.
const std::uint8_t* TileEncoder::padded(std::span<const std::uint8_t> symbols, std::size_t block,
                                        std::uint8_t with) {
  const std::size_t whole = (symbols.size() + block - 1) / block * block;
  if (whole == symbols.size()) return symbols.data();
  std::copy(symbols.begin(), symbols.end(), pad_.begin());
  std::fill(pad_.begin() + static_cast<std::ptrdiff_t>(symbols.size()),
            pad_.begin() + static_cast<std::ptrdiff_t>(whole), with);
  return pad_.data();
}

std::size_t TileEncoder::put_escapes(std::size_t at, int form, std::size_t count) {
  if (form == 0) return put(at, escapes_.data(), count);
  const std::size_t bytes =
      current_kernels().pack_escapes(form, escapes_.data(), count, section_.data());
  return put(at, section_.data(), bytes);
}

void TileEncoder::start_rans(const TileCoding& coding, std::span<const std::uint8_t> symbols) {
  const RansTable& table = *coding.table;
  if (expanded_ != &table) {
    expand(table, table_);
    quiet_ = quiet_table(table, table_);
  }
  expanded_ = &table;
  rans_ = {};
  rans_.chunks = (symbols.size() + kChunk - 1) / kChunk;
  rans_.symbols = padded(symbols, kChunk, padding_symbol(table));
  rans_.states = states_.data();
  rans_.done = encode_quiet(quiet_, table_, rans_.symbols, rans_.chunks, rans_.states) +
               seed_chunks(table.n, rans_.chunks);
  rans_.renorm_end = out_.data() + kRenormEnd;
  rans_.escapes = escapes_.data();
  rans_.planes = planes_.data();
}

// Where the encoded tile ends without the low bytes, in out_; it begins at begin_. 0 when the table
// or the header has no room.
std::size_t TileEncoder::finish_rans() {
  const RansTable& table = *expanded_;
  if (rans_.renorm_bytes > kMostCount || rans_.escape_count > kMostCount) return 0;
  if (rans_.escape_count != 0 && table.freqs[static_cast<std::size_t>(table.n)] == 0) return 0;

  const std::size_t states_bytes = 2 * static_cast<std::size_t>(table.lanes());
  begin_ = kRenormEnd - rans_.renorm_bytes - states_bytes - kRansHeader;
  std::uint8_t* header = out_.data() + begin_;
  header[0] = static_cast<std::uint8_t>(TileKind::rans);
  header[1] = static_cast<std::uint8_t>(rans_.done - seed_chunks(table.n, rans_.chunks));
  store(header + 2, rans_.renorm_bytes, 2);
  store(header + 4, rans_.escape_count, 2);
  put(begin_ + kRansHeader, states_.data(), states_bytes);
  const std::size_t end = put_escapes(kRenormEnd, table.escape_form, rans_.escape_count);
  return put(end, planes_.data(), static_cast<std::size_t>(table.shift) * rans_.chunks * 8);
}

std::size_t TileEncoder::encode_nibbles(std::uint8_t base, std::span<const std::uint8_t> symbols) {
  const std::size_t blocks = (symbols.size() + kNibbleBlock - 1) / kNibbleBlock;
  const std::size_t escapes =
      current_kernels().encode_nibbles(padded(symbols, kNibbleBlock, base), blocks, base,
                                       out_.data() + kNibbleHeader, escapes_.data());
  if (escapes > kMostCount) return 0;
  out_[0] = static_cast<std::uint8_t>(TileKind::nibbles);
  out_[1] = base;
  store(out_.data() + 2, escapes, 2);
  return put(kNibbleHeader + blocks * kNibbleBlock / 2, escapes_.data(), escapes);
}

// True when the kernel has to encode rans_ before finish.
bool TileEncoder::start(Transform transform, std::size_t element, const TileCoding& coding,
                        std::span<const std::byte> bytes) {
  plain_ = bytes;
  rans_ = {};
  begin_ = 0;
  end_ = 0;
  if (all_equal(bytes)) {
    out_[0] = static_cast<std::uint8_t>(TileKind::constant);
    out_[1] = std::to_integer<std::uint8_t>(bytes[0]);
    end_ = 2;
    return false;
  }
  if (coding.table == nullptr && !coding.nibble_base) return false;
  const auto symbols = split_.split(transform, element, bytes);
  if (coding.table != nullptr) {
    start_rans(coding, symbols);
    return true;
  }
  end_ = encode_nibbles(*coding.nibble_base, symbols);
  if (end_ != 0) end_ = put(end_, split_.low().data(), split_.low().size());
  return false;
}

std::span<const std::byte> TileEncoder::finish() {
  if (rans_.chunks != 0) {
    end_ = finish_rans();
    if (end_ != 0) end_ = put(end_, split_.low().data(), split_.low().size());
  }
  if (end_ == 0 || end_ - begin_ > plain_.size()) {
    begin_ = 0;
    out_[0] = static_cast<std::uint8_t>(TileKind::raw);
    end_ = put(1, as_u8(plain_), plain_.size());
  }
  return std::as_bytes(std::span(out_)).subspan(begin_, end_ - begin_);
}

std::span<const std::byte> TileEncoder::encode(Transform transform, std::size_t element,
                                               const TileCoding& coding,
                                               std::span<const std::byte> bytes) {
  if (start(transform, element, coding, bytes))
    current_kernels().encode_rans(&table_, &rans_, 1, {});
  return finish();
}

std::array<std::span<const std::byte>, 2> TileEncoder::encode_two(
    std::array<TileEncoder, 2>& encoders, Transform transform, std::size_t element,
    const TileCoding& coding, const std::array<std::span<const std::byte>, 2>& tiles) {
  const CodecKernels& kernels = current_kernels();
  std::array<RansEncoding, 2> both{};
  int waiting = 0;
  for (std::size_t i = 0; i < 2; ++i)
    waiting += encoders[i].start(transform, element, coding, tiles[i]) ? 1 : 0;
  if (waiting == 2 && encoders[0].rans_.chunks == encoders[1].rans_.chunks) {
    both = {encoders[0].rans_, encoders[1].rans_};
    const auto behind = reinterpret_cast<std::uintptr_t>(tiles[1].data()) + tiles[1].size();
    kernels.encode_rans(&encoders[0].table_, both.data(), 2,
                        {behind, coding.ahead / 2, coding.ahead / 2 / both[0].chunks});
    encoders[0].rans_ = both[0];
    encoders[1].rans_ = both[1];
  } else {
    for (TileEncoder& encoder : encoders) {
      if (encoder.rans_.chunks != 0) kernels.encode_rans(&encoder.table_, &encoder.rans_, 1, {});
    }
  }
  return {encoders[0].finish(), encoders[1].finish()};
}

}  // namespace pare::codec::detail
