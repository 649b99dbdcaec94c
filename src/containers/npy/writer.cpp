#include "containers/npy/writer.h"

#include "containers/npy/codes.h"
#include "containers/npy/pickle_writer.h"
#include "io/file_writer.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace pare::containers {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kPreambleBytes = 10;  // magic, version, length
constexpr std::uint64_t kProtocol3Limit = 0x100000000ULL;

/// The type a value has in a numpy file: bf16 does not exist there.
DType numpy_dtype(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

const NpyCode& code_of(DType dtype) {
  const NpyCode* code = npy_code_of(dtype);
  if (code == nullptr) {
    throw Error(ErrorCode::tensor_mismatch, fmt::format("{} has no npy form", name_of(dtype)));
  }
  return *code;
}

/// `(2, 3)` as Python prints a tuple.
std::string python_tuple(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.rank(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ", ", shape[i]);
  return text + (shape.rank() == 1 ? ",)" : ")");
}

/// A version 1.0 header, padded exactly as numpy.save does (with its room for a longer first axis).
std::string npy_header(std::string_view descr, const Shape& shape) {
  constexpr std::size_t kAxisDigits = 21;
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", descr,
                                 python_tuple(shape));
  if (shape.rank() > 0) text.append(kAxisDigits - std::to_string(shape[0]).size(), ' ');
  text.append(kAlignment - (kPreambleBytes + text.size() + 1) % kAlignment, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xFFU);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

void check_bytes(const TensorView& tensor) {
  if (tensor.data.size() != static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype)) {
    throw Error(ErrorCode::internal, fmt::format("{} {} with {} bytes", name_of(tensor.dtype),
                                                 tensor.shape.text(), tensor.data.size()));
  }
}

using GiveBack = std::function<void()>;

void write_in_pieces(io::FileWriter& out, std::span<const std::byte> bytes,
                     const GiveBack& give_back) {
  constexpr std::size_t kPiece = std::size_t{4} << 20;
  for (std::size_t offset = 0; offset < bytes.size(); offset += kPiece) {
    out.write(bytes.subspan(offset, std::min(kPiece, bytes.size() - offset)));
    give_back();
  }
}

/// The values as numpy has them: unchanged, or bf16 widened piece by piece.
void write_numpy_data(io::FileWriter& out, const TensorView& tensor, const GiveBack& give_back) {
  if (tensor.dtype != DType::bf16) return write_in_pieces(out, tensor.data, give_back);
  constexpr std::int64_t kPiece = 1 << 16;
  constexpr std::int64_t kPiecesInHand = 16;
  std::vector<float> piece;
  const std::int64_t count = tensor.numel();
  for (std::int64_t first = 0; first < count; first += kPiece) {
    piece.resize(static_cast<std::size_t>(std::min(kPiece, count - first)));
    read_floats(tensor, first, piece);
    out.write(std::as_bytes(std::span(piece)));
    if ((first / kPiece) % kPiecesInHand == 0) give_back();
  }
}

/// Memo slots of the globals; each is written where it is first used.
enum Slot { kReconstruct, kNdarray, kNumpyDtype, kRebuildTensor, kLoadFromBytes, kOrderedDict };

void append_tuple(PickleWriter& out, std::span<const std::int64_t> values) {
  if (values.empty()) {
    out.op(")");
    return;
  }
  constexpr std::array<std::string_view, 3> kShort = {"\x85", "\x86", "\x87"};
  if (values.size() > kShort.size()) out.op("(");
  for (const std::int64_t value : values)
    out.number(value);
  out.op(values.size() > kShort.size() ? "t" : kShort[values.size() - 1]);
}

/// dtype(code, False, True) with its state (3, order, None, None, None, -1, -1, flags).
void append_numpy_dtype(PickleWriter& out, std::string_view code, char order, int flags) {
  out.text(code).op("\x89\x88\x87R(").number(3).text({&order, 1}).op("NNN");
  out.op("J").little_endian(-1, 4).op("J").little_endian(-1, 4).number(flags).op("tb");
}

/// _reconstruct(ndarray, (0,), b'b')
void append_empty_array(PickleWriter& out) {
  out.number(0).op("\x85").bytes_header(1).op("b\x87R");
}

/// Everything before the first entry: the 0-d object array, its list, its dictionary, a MARK.
std::string pickle_front() {
  PickleWriter out;
  out.op("\x80\x03");
  out.global("numpy.core.multiarray", "_reconstruct", kReconstruct)
      .global("numpy", "ndarray", kNdarray);
  append_empty_array(out);
  out.op("(").number(1).op(")").global("numpy", "dtype", kNumpyDtype);
  append_numpy_dtype(out, "O8", '|', 0x3F);
  out.op("\x89]}(");
  return out.take();
}

/// torch's legacy file of one storage, up to its data: magic, protocol, machine, the storage as a
/// persistent id, the list of keys, the element count.
std::string legacy_storage_front(std::string_view storage_class, std::int64_t count) {
  PickleWriter out;
  out.op("\x80\x02\x8A").little_endian(10, 1);
  out.op("\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.");
  out.op("\x80\x02").number(1001).op(".");
  out.op("\x80\x02}(").text("protocol_version").number(1001).text("little_endian").op("\x88");
  out.text("type_sizes")
      .op("}(")
      .text("short")
      .number(2)
      .text("int")
      .number(4)
      .text("long")
      .number(4)
      .op("uu.");
  out.op("\x80\x02(").text("storage").op("c").op("torch\n").op(storage_class).op("\n");
  out.text("0").text("cpu").number(count).op("NtQ.");
  out.op("\x80\x02]").text("0").op("a.");
  out.little_endian(count, 8);
  return out.take();
}

/// Strides of a contiguous tensor in elements, as torch counts them.
std::vector<std::int64_t> contiguous_strides(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.rank());
  std::int64_t step = 1;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    strides[axis] = step;
    step *= std::max<std::int64_t>(shape[axis], 1);
  }
  return strides;
}

}  // namespace

void write_npy(const std::filesystem::path& path, const TensorView& array, unsigned mode) {
  check_bytes(array);
  const DType dtype = numpy_dtype(array.dtype);
  io::FileWriter out(path);
  out.write(
      npy_header(fmt::format("{}{}", byte_order_of(dtype), code_of(dtype).numpy), array.shape));
  write_numpy_data(out, array, [] {});
  out.finish(mode);
}

struct NpyDictWriter::State {
  State(const std::filesystem::path& path, NpyValues v, unsigned m)
      : out(path), values(v), mode(m) {}

  void begin_bytes(PickleWriter& pickle, std::uint64_t size);
  void add_numpy(PickleWriter& pickle, const TensorView& value, const GiveBack& give_back);
  void add_torch(PickleWriter& pickle, const TensorView& value, const GiveBack& give_back);
  void global(PickleWriter& pickle, std::string_view module, std::string_view name, Slot slot) {
    if (known.insert(slot).second) {
      pickle.global(module, name, slot);
    } else {
      pickle.get(slot);
    }
  }

  io::FileWriter out;
  NpyValues values;
  unsigned mode;
  std::size_t pickle_begin = 0;
  bool needs_protocol4 = false;
  std::set<Slot> known;  // torch's globals written so far; numpy's stand in the front
  std::set<std::string, std::less<>> names;
};

/// Writes what is in `pickle` and the front of a bytes object; the bytes go to `out` next.
void NpyDictWriter::State::begin_bytes(PickleWriter& pickle, std::uint64_t size) {
  needs_protocol4 = needs_protocol4 || size >= kProtocol3Limit;
  out.write(pickle.bytes_header(size).take());
}

void NpyDictWriter::State::add_numpy(PickleWriter& pickle, const TensorView& value,
                                     const GiveBack& give_back) {
  const DType dtype = numpy_dtype(value.dtype);
  const std::string_view code = code_of(dtype).numpy;
  pickle.get(kReconstruct).get(kNdarray);
  append_empty_array(pickle);
  pickle.op("(").number(1);
  append_tuple(pickle, value.shape.dims());
  pickle.get(kNumpyDtype);
  append_numpy_dtype(pickle, code, byte_order_of(dtype), 0);
  pickle.op("\x89");
  begin_bytes(pickle, static_cast<std::uint64_t>(value.numel()) * size_of(dtype));
  write_numpy_data(out, value, give_back);
  out.write("tb");
}

void NpyDictWriter::State::add_torch(PickleWriter& pickle, const TensorView& value,
                                     const GiveBack& give_back) {
  const std::string_view storage = code_of(value.dtype).storage;
  if (storage.empty()) {
    throw Error(ErrorCode::tensor_mismatch,
                fmt::format("{} has no torch storage", name_of(value.dtype)));
  }
  const std::string front = legacy_storage_front(storage, value.numel());
  global(pickle, "torch._utils", "_rebuild_tensor_v2", kRebuildTensor);
  pickle.op("(");
  global(pickle, "torch.storage", "_load_from_bytes", kLoadFromBytes);
  begin_bytes(pickle, front.size() + value.data.size());
  out.write(front);
  write_in_pieces(out, value.data, give_back);
  pickle.op("\x85R").number(0);
  append_tuple(pickle, value.shape.dims());
  append_tuple(pickle, contiguous_strides(value.shape));
  pickle.op("\x89");
  global(pickle, "collections", "OrderedDict", kOrderedDict);
  pickle.op(")RtR");
  out.write(pickle.take());
}

NpyDictWriter::NpyDictWriter(const std::filesystem::path& path, NpyValues values, unsigned mode)
    : state_(std::make_unique<State>(path, values, mode)) {
  const std::string header = npy_header("|O", {});
  state_->pickle_begin = header.size();
  state_->out.write(header);
  state_->out.write(pickle_front());
}

NpyDictWriter::~NpyDictWriter() = default;

void NpyDictWriter::add(const std::string& name, const TensorView& value,
                        const std::function<void()>& give_back) {
  check_bytes(value);
  if (!state_->names.insert(name).second) {
    throw Error(ErrorCode::internal, fmt::format("entry \"{}\" added twice", name));
  }
  PickleWriter pickle;
  pickle.text(name);
  if (state_->values == NpyValues::numpy) return state_->add_numpy(pickle, value, give_back);
  state_->add_torch(pickle, value, give_back);
}

void NpyDictWriter::finish() {
  state_->out.write("uatb.");  // SETITEMS, APPEND, TUPLE, BUILD, STOP
  if (state_->needs_protocol4) state_->out.patch(state_->pickle_begin + 1, std::byte{4});
  state_->out.finish(state_->mode);
}

}  // namespace pare::containers
