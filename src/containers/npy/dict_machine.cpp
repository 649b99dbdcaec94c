#include "containers/npy/dict_machine.h"

#include "containers/in_quotes.h"
#include "containers/npy/codes.h"
#include "containers/npy/pickle_machine.h"
#include "containers/npy/torch_storage.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace pare::containers {
namespace {

using Kind = PickleKind;

enum Global : std::int64_t {
  kReconstruct,
  kScalar,
  kNdarray,
  kNumpyDtype,
  kLoadFromBytes,
  kRebuildTensor,
  kRebuildParameter,
  kOrderedDict
};

struct KnownGlobal {
  std::string_view module;
  std::string_view name;
  Global id;
};

/// The only names that may occur. numpy 2 moved its core to `_core`.
constexpr std::array kKnownGlobals = {
    KnownGlobal{"numpy.core.multiarray", "_reconstruct", kReconstruct},
    KnownGlobal{"numpy._core.multiarray", "_reconstruct", kReconstruct},
    KnownGlobal{"numpy.core.multiarray", "scalar", kScalar},
    KnownGlobal{"numpy._core.multiarray", "scalar", kScalar},
    KnownGlobal{"numpy", "ndarray", kNdarray},
    KnownGlobal{"numpy", "dtype", kNumpyDtype},
    KnownGlobal{"torch.storage", "_load_from_bytes", kLoadFromBytes},
    KnownGlobal{"torch._utils", "_rebuild_tensor_v2", kRebuildTensor},
    KnownGlobal{"torch._utils", "_rebuild_parameter", kRebuildParameter},
    KnownGlobal{"collections", "OrderedDict", kOrderedDict},
};

/// What an object on the stack is; `value` is filled for arrays, `storage` for storages.
struct Object {
  enum class What { dtype, array, holder, storage, ordered_dict } what = What::array;
  bool built = false;
  bool is_object_dtype = false;  // dtype 'O8'
  bool big_endian = false;       // dtype
  NpyDictEntry value;            // array; dtype: value.dtype
  TorchStorage storage;
  PickleValue content;  // holder: the dictionary
};

using What = Object::What;

class DictMachine final : public PickleMachine {
 public:
  using PickleMachine::PickleMachine;

  std::vector<NpyDictEntry> read() {
    const PickleValue root = run();
    if (!rest().empty()) fail("bytes behind the end");
    if (root.kind != Kind::object || object(root).what != What::holder)
      fail("not an object array of one dictionary");
    std::vector<NpyDictEntry> out;
    for (const auto& [key, value] : entries(object(root).content))
      out.push_back(entry_of(key, value));
    return out;
  }

 private:
  std::int64_t find_global(std::string_view module, std::string_view name) override;
  PickleValue reduce(const PickleValue& callable, std::span<const PickleValue> arguments) override;
  void build(const PickleValue& object, const PickleValue& state) override;
  PickleValue persistent(const PickleValue&) override { fail("a persistent id outside a storage"); }

  PickleValue make_dtype(std::span<const PickleValue> arguments);
  PickleValue make_scalar(std::span<const PickleValue> arguments);
  PickleValue make_storage(std::span<const PickleValue> arguments);
  PickleValue make_tensor(std::span<const PickleValue> arguments);
  void build_dtype(Object& dtype, std::span<const PickleValue> state) const;
  void build_array(Object& array, std::span<const PickleValue> state);
  void hold(Object& holder, const PickleValue& list);

  NpyDictEntry entry_of(const PickleValue& key, const PickleValue& value);
  std::vector<std::int64_t> sizes(const PickleValue& tuple) const;
  void check_extent(const NpyDictEntry& value) const;
  const Object& numeric_dtype(const PickleValue& value);

  PickleValue add(Object object) {
    objects_.push_back(std::move(object));
    return {.kind = Kind::object, .number = static_cast<std::int64_t>(objects_.size()) - 1};
  }
  Object& object(const PickleValue& value) {
    if (value.kind != Kind::object) fail("an array, tensor or data type is needed");
    return objects_[static_cast<std::size_t>(value.number)];
  }
  void need(bool condition, const char* what) const {
    if (!condition) fail(fmt::format("{} of an unknown form", what));
  }

  std::vector<Object> objects_;
};

std::int64_t DictMachine::find_global(std::string_view module, std::string_view name) {
  for (const KnownGlobal& known : kKnownGlobals) {
    if (known.module == module && known.name == name) return known.id;
  }
  fail(fmt::format("the name {} is not allowed: a dictionary of arrays has no use for it",
                   in_quotes(std::string(module) + "." + std::string(name))));
}

PickleValue DictMachine::reduce(const PickleValue& callable,
                                std::span<const PickleValue> arguments) {
  switch (static_cast<Global>(callable.number)) {
    case kReconstruct:
      need(arguments.size() == 3 && arguments[0].kind == Kind::global &&
               arguments[0].number == kNdarray,
           "an array");
      return add({.what = What::array});
    case kNumpyDtype:
      return make_dtype(arguments);
    case kScalar:
      return make_scalar(arguments);
    case kLoadFromBytes:
      return make_storage(arguments);
    case kRebuildTensor:
      return make_tensor(arguments);
    case kRebuildParameter:
      need(arguments.size() == 3 && object(arguments[0]).what == What::array, "a parameter");
      return arguments[0];
    case kOrderedDict:
      need(arguments.empty(), "an OrderedDict");
      return add({.what = What::ordered_dict, .built = true});
    case kNdarray:
      break;
  }
  fail("a call of numpy.ndarray");
}

void DictMachine::build(const PickleValue& target, const PickleValue& state) {
  Object& object = this->object(target);
  if (object.built) fail("a BUILD of something finished");
  if (object.what == What::dtype) return build_dtype(object, items(state));
  need(object.what == What::array, "a BUILD");
  build_array(object, items(state));
}

/// numpy.dtype(code, align, copy)
PickleValue DictMachine::make_dtype(std::span<const PickleValue> arguments) {
  need(arguments.size() == 3 && arguments[0].kind == Kind::text, "a data type");
  const std::string_view code = arguments[0].as_text();
  Object made{.what = What::dtype};
  made.is_object_dtype = code == "O8";
  if (!made.is_object_dtype) {
    const std::optional<DType> dtype = dtype_of_numpy_code(code);
    if (!dtype) fail("numpy data type " + in_quotes(code));
    made.value.dtype = *dtype;
  }
  return add(std::move(made));
}

/// (version, byte order, subdtype, names, fields, itemsize, alignment, flags)
void DictMachine::build_dtype(Object& dtype, std::span<const PickleValue> state) const {
  need(state.size() >= 8 && state[1].kind == Kind::text, "a data type");
  for (std::size_t i = 2; i <= 4; ++i)
    need(state[i].kind == Kind::none, "a data type with fields");
  dtype.big_endian = state[1].as_text() == ">" && size_of(dtype.value.dtype) > 1;
  dtype.built = true;
}

const Object& DictMachine::numeric_dtype(const PickleValue& value) {
  const Object& dtype = object(value);
  need(dtype.what == What::dtype && !dtype.is_object_dtype, "a data type");
  if (dtype.big_endian) fail("big-endian values");
  return dtype;
}

/// numpy.core.multiarray.scalar(dtype, bytes)
PickleValue DictMachine::make_scalar(std::span<const PickleValue> arguments) {
  need(arguments.size() == 2 && arguments[1].kind == Kind::bytes, "a scalar");
  Object made{.what = What::array, .built = true};
  made.value.dtype = numeric_dtype(arguments[0]).value.dtype;
  made.value.data = arguments[1].bytes;
  need(made.value.data.size() == size_of(made.value.dtype), "a scalar");
  return add(std::move(made));
}

/// (version, shape, dtype, is_fortran, bytes or list)
void DictMachine::build_array(Object& array, std::span<const PickleValue> state) {
  need(state.size() == 5 && state[3].kind == Kind::boolean, "an array");
  array.built = true;
  if (object(state[2]).is_object_dtype) {
    need(items(state[1]).empty(), "an object array");
    return hold(array, state[4]);
  }
  NpyDictEntry& value = array.value;
  value.dtype = numeric_dtype(state[2]).value.dtype;
  value.shape = Shape(sizes(state[1]));
  need(state[4].kind == Kind::bytes, "an array's data");
  value.data = state[4].bytes;
  const auto bytes = static_cast<std::size_t>(value.shape.numel());
  const std::size_t width = size_of(value.dtype);
  if (value.data.size() % width != 0 || value.data.size() / width != bytes) {
    fail(fmt::format("{} bytes for an array {} of {}", value.data.size(), value.shape.text(),
                     name_of(value.dtype)));
  }
  if (state[3].number == 0) return;
  if (value.data.empty()) return;
  std::int64_t step = 1;  // Fortran order: the first axis moves fastest
  for (const std::int64_t dim : value.shape.dims()) {
    value.strides.push_back(step);
    step *= dim;
  }
}

void DictMachine::hold(Object& holder, const PickleValue& list) {
  need(list.kind == Kind::list && items(list).size() == 1 && items(list)[0].kind == Kind::dict,
       "an object array");
  holder.what = What::holder;
  holder.content = items(list)[0];
}

PickleValue DictMachine::make_storage(std::span<const PickleValue> arguments) {
  need(arguments.size() == 1 && arguments[0].kind == Kind::bytes, "a storage");
  return add(
      {.what = What::storage, .built = true, .storage = read_torch_storage(arguments[0].bytes)});
}

/// (storage, offset, size, stride, requires_grad, hooks[, metadata])
PickleValue DictMachine::make_tensor(std::span<const PickleValue> arguments) {
  need(arguments.size() == 6 || (arguments.size() == 7 && arguments[6].kind == Kind::none),
       "a tensor");
  const Object& holder = object(arguments[0]);
  need(holder.what == What::storage && arguments[1].kind == Kind::integer &&
           arguments[1].number >= 0,
       "a tensor");
  Object made{.what = What::array, .built = true};
  made.value.dtype = holder.storage.dtype;
  made.value.data = holder.storage.data;
  made.value.shape = Shape(sizes(arguments[2]));
  made.value.strides = sizes(arguments[3]);
  made.value.offset = arguments[1].number;
  need(made.value.strides.size() == made.value.shape.rank(), "a tensor's strides");
  check_extent(made.value);
  for (std::size_t axis = 0; axis < made.value.strides.size(); ++axis) {
    if (made.value.shape[axis] <= 1)
      made.value.strides[axis] = 0;  // never stepped: any value is legal
  }
  return add(std::move(made));
}

/// A tuple of non-negative integers with a product that fits.
std::vector<std::int64_t> DictMachine::sizes(const PickleValue& tuple) const {
  const std::span<const PickleValue> values = items(tuple);
  if (values.size() > Shape::kMaxRank) fail(fmt::format("{} dimensions", values.size()));
  std::vector<std::int64_t> out;
  std::int64_t product = 1;
  for (const PickleValue& value : values) {
    need(value.kind == Kind::integer && value.number >= 0, "a size");
    if (__builtin_mul_overflow(product, value.number, &product)) fail("a shape that overflows");
    out.push_back(value.number);
  }
  return out;
}

/// offset + sum((size - 1) * stride) must be an element; a view may not be larger than its storage,
/// or a stride of 0 would turn one element into any number.
void DictMachine::check_extent(const NpyDictEntry& value) const {
  const auto count = static_cast<std::int64_t>(value.data.size() / size_of(value.dtype));
  const std::int64_t numel = value.shape.numel();
  if (numel == 0) return;
  std::int64_t last = value.offset;
  bool fits = numel <= count;
  for (std::size_t axis = 0; fits && axis < value.shape.rank(); ++axis) {
    std::int64_t reach = 0;
    fits = !__builtin_mul_overflow(value.shape[axis] - 1, value.strides[axis], &reach) &&
           !__builtin_add_overflow(last, reach, &last);
  }
  if (!fits || last >= count)
    fail(fmt::format("a tensor {} outside its storage of {}", value.shape.text(), count));
}

NpyDictEntry DictMachine::entry_of(const PickleValue& key, const PickleValue& value) {
  need(key.kind == Kind::text, "a key");
  const std::string name(key.as_text());
  if (!is_utf8(name)) fail(fmt::format("the key {} is not UTF-8", in_quotes(name)));
  if (value.kind != Kind::object || object(value).what != What::array || !object(value).built) {
    fail(fmt::format("the value of {} is no array", in_quotes(name)));
  }
  NpyDictEntry entry = object(value).value;
  entry.name = name;
  return entry;
}

}  // namespace

std::vector<NpyDictEntry> read_npy_dict_pickle(std::span<const std::byte> pickle,
                                               const std::function<void()>& give_back) {
  return DictMachine(pickle, give_back).read();
}

}  // namespace pare::containers
