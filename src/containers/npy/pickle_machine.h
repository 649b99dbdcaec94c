// A pickle machine that never calls anything: globals are inert marks, and what REDUCE and BUILD
// mean is decided by the few forms a subclass knows. Everything else is an error. Source: CPython
// Lib/pickletools.py, protocols 2 to 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pare::containers {

enum class PickleKind : std::uint8_t {
  mark,
  none,
  boolean,
  integer,
  text,
  bytes,
  global,
  tuple,
  list,
  dict,
  object  // made by a subclass; `number` is its own business
};

/// A value on the stack. Containers are numbers of the machine's tables, so values are small and
/// nothing is ever destroyed recursively.
struct PickleValue {
  PickleKind kind = PickleKind::none;
  std::int64_t number = 0;           // boolean, integer, global's or object's number, table index
  std::span<const std::byte> bytes;  // text and bytes: inside the stream

  std::string_view as_text() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

class PickleMachine {
 public:
  /// `stream` must outlive every value. `give_back` is called now and then: what was read of it may
  /// leave memory.
  explicit PickleMachine(
      std::span<const std::byte> stream, std::function<void()> give_back = [] {})
      : stream_(stream), give_back_(std::move(give_back)) {}
  virtual ~PickleMachine() = default;
  PickleMachine(const PickleMachine&) = delete;
  PickleMachine& operator=(const PickleMachine&) = delete;

  /// Runs one pickle up to its STOP and returns the value it leaves. Stack and memo begin empty;
  /// the next call goes on behind the STOP. Errors: bad_npy.
  PickleValue run();

  /// Bytes behind the last STOP.
  std::span<const std::byte> rest() const noexcept { return stream_.subspan(position_); }

 protected:
  /// Number of a known global; the subclass must `fail` for all others.
  virtual std::int64_t find_global(std::string_view module, std::string_view name) = 0;
  virtual PickleValue reduce(const PickleValue& callable,
                             std::span<const PickleValue> arguments) = 0;
  virtual void build(const PickleValue& object, const PickleValue& state) = 0;
  virtual PickleValue persistent(const PickleValue& id) = 0;

  std::span<const PickleValue> items(const PickleValue& tuple_or_list) const;
  std::span<const std::pair<PickleValue, PickleValue>> entries(const PickleValue& dict) const;
  [[noreturn]] void fail(const std::string& detail) const;

 private:
  void step(std::uint8_t opcode);
  bool step_scalar(std::uint8_t opcode);
  bool step_container(std::uint8_t opcode);
  bool step_memo(std::uint8_t opcode);
  bool step_object(std::uint8_t opcode);

  std::uint64_t unsigned_operand(std::size_t bytes);
  std::span<const std::byte> take(std::uint64_t size);
  std::string_view take_line();

  PickleValue pop();
  PickleValue& top(PickleKind kind);
  std::vector<PickleValue> pop_to_mark();
  void push(PickleKind kind, std::int64_t number = 0, std::span<const std::byte> bytes = {});
  void push_tuple(std::vector<PickleValue> values);
  void push_last(std::size_t count);
  void push_long(std::size_t size);
  void push_global(std::string_view module, std::string_view name);
  void append(const PickleValue& list, std::vector<PickleValue> values);
  void set_items(const PickleValue& dict, const std::vector<PickleValue>& values);

  std::span<const std::byte> stream_;
  std::function<void()> give_back_;
  std::size_t position_ = 0;
  std::size_t given_back_ = 0;  // up to here
  std::uint64_t opcodes_ = 0;
  std::vector<PickleValue> stack_;
  std::unordered_map<std::uint64_t, PickleValue> memo_;
  std::vector<std::vector<PickleValue>> sequences_;
  std::vector<std::vector<std::pair<PickleValue, PickleValue>>> dicts_;
};

}  // namespace pare::containers
