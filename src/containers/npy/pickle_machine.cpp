#include "containers/npy/pickle_machine.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::containers {
namespace {

/// About 30 opcodes make an entry of a dictionary, so this is room for 100,000 of them; it also
/// bounds stack, memo and tables.
constexpr std::uint64_t kMaxOpcodes = 5'000'000;
constexpr std::uint64_t kMaxTextBytes = 1 << 20;
constexpr std::size_t kMaxLineBytes = 256;
constexpr int kMaxProtocol = 5;

using Kind = PickleKind;

}  // namespace

void PickleMachine::fail(const std::string& detail) const {
  throw Error(ErrorCode::bad_npy, fmt::format("{} (pickle byte {})", detail, position_));
}

PickleValue PickleMachine::run() {
  constexpr std::uint8_t kStop = 0x2E;
  stack_.clear();
  memo_.clear();
  for (;;) {
    const auto opcode = static_cast<std::uint8_t>(unsigned_operand(1));
    if (opcode == kStop) break;
    if (++opcodes_ > kMaxOpcodes) fail(fmt::format("more than {} opcodes", kMaxOpcodes));
    step(opcode);
  }
  const PickleValue root = pop();
  if (!stack_.empty()) fail("values left over at the end");
  return root;
}

void PickleMachine::step(std::uint8_t opcode) {
  if (step_scalar(opcode) || step_container(opcode) || step_memo(opcode) || step_object(opcode))
    return;
  fail(fmt::format("opcode 0x{:02X} is not used by dictionaries of arrays", opcode));
}

bool PickleMachine::step_scalar(std::uint8_t opcode) {
  switch (opcode) {
    case 0x80:  // PROTO
      if (unsigned_operand(1) > kMaxProtocol) fail("pickle protocol above 5");
      return true;
    case 0x95:
      unsigned_operand(8);
      return true;  // FRAME: its length is only a reading hint
    case 0x4E:
      push(Kind::none);
      return true;
    case 0x88:
      push(Kind::boolean, 1);
      return true;
    case 0x89:
      push(Kind::boolean, 0);
      return true;
    case 0x4B:
      push(Kind::integer, static_cast<std::int64_t>(unsigned_operand(1)));
      return true;
    case 0x4D:
      push(Kind::integer, static_cast<std::int64_t>(unsigned_operand(2)));
      return true;
    case 0x4A:
      push(Kind::integer, static_cast<std::int32_t>(unsigned_operand(4)));
      return true;
    case 0x8A:
      push_long(static_cast<std::size_t>(unsigned_operand(1)));
      return true;
    case 0x8C:
      push(Kind::text, 0, take(unsigned_operand(1)));
      return true;
    case 0x58: {
      const std::uint64_t size = unsigned_operand(4);
      if (size > kMaxTextBytes) fail(fmt::format("a text of {} bytes", size));
      push(Kind::text, 0, take(size));
      return true;
    }
    case 0x43:
      push(Kind::bytes, 0, take(unsigned_operand(1)));
      return true;
    case 0x42:
      push(Kind::bytes, 0, take(unsigned_operand(4)));
      return true;
    case 0x8E:
      push(Kind::bytes, 0, take(unsigned_operand(8)));
      return true;
    default:
      return false;
  }
}

bool PickleMachine::step_container(std::uint8_t opcode) {
  switch (opcode) {
    case 0x28:
      push(Kind::mark);
      return true;
    case 0x29:
      push_tuple({});
      return true;
    case 0x74:
      push_tuple(pop_to_mark());
      return true;
    case 0x85:
      push_last(1);
      return true;
    case 0x86:
      push_last(2);
      return true;
    case 0x87:
      push_last(3);
      return true;
    case 0x5D:
      push_tuple({});
      stack_.back().kind = Kind::list;
      return true;
    case 0x61: {  // APPEND
      const PickleValue value = pop();
      append(top(Kind::list), {value});
      return true;
    }
    case 0x65: {  // APPENDS
      std::vector<PickleValue> values = pop_to_mark();
      append(top(Kind::list), std::move(values));
      return true;
    }
    case 0x7D:
      dicts_.emplace_back();
      push(Kind::dict, static_cast<std::int64_t>(dicts_.size()) - 1);
      return true;
    case 0x73: {  // SETITEM
      const PickleValue value = pop();
      const PickleValue key = pop();
      set_items(top(Kind::dict), {key, value});
      return true;
    }
    case 0x75: {  // SETITEMS
      const std::vector<PickleValue> values = pop_to_mark();
      set_items(top(Kind::dict), values);
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::step_memo(std::uint8_t opcode) {
  const auto put = [&](std::uint64_t slot) {
    if (stack_.empty() || stack_.back().kind == Kind::mark) fail("nothing to remember");
    memo_[slot] = stack_.back();
  };
  const auto get = [&](std::uint64_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) fail(fmt::format("memo {} is empty", slot));
    stack_.push_back(found->second);
  };
  switch (opcode) {
    case 0x71:
      put(unsigned_operand(1));
      return true;
    case 0x72:
      put(unsigned_operand(4));
      return true;
    case 0x94:
      put(memo_.size());
      return true;  // MEMOIZE
    case 0x68:
      get(unsigned_operand(1));
      return true;
    case 0x6A:
      get(unsigned_operand(4));
      return true;
    default:
      return false;
  }
}

bool PickleMachine::step_object(std::uint8_t opcode) {
  switch (opcode) {
    case 0x63: {  // GLOBAL
      const std::string_view module = take_line();
      push_global(module, take_line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleValue name = pop();
      const PickleValue module = pop();
      if (name.kind != Kind::text || module.kind != Kind::text)
        fail("a global that is not named by text");
      push_global(module.as_text(), name.as_text());
      return true;
    }
    case 0x52: {  // REDUCE
      const PickleValue arguments = pop();
      const PickleValue callable = pop();
      if (callable.kind != Kind::global || arguments.kind != Kind::tuple)
        fail("a call of something that is no known name");
      stack_.push_back(reduce(callable, items(arguments)));
      return true;
    }
    case 0x62: {  // BUILD
      const PickleValue state = pop();
      build(top(Kind::object), state);
      return true;
    }
    case 0x51:
      stack_.push_back(persistent(pop()));
      return true;
    default:
      return false;
  }
}

std::uint64_t PickleMachine::unsigned_operand(std::size_t bytes) {
  std::uint64_t value = 0;
  const std::span<const std::byte> raw = take(bytes);
  for (std::size_t i = bytes; i-- > 0;)
    value = value << 8 | std::to_integer<std::uint64_t>(raw[i]);
  return value;
}

std::span<const std::byte> PickleMachine::take(std::uint64_t size) {
  if (size > stream_.size() - position_) fail("the stream ends early");
  const auto piece = stream_.subspan(position_, static_cast<std::size_t>(size));
  position_ += static_cast<std::size_t>(size);
  constexpr std::size_t kInHand = std::size_t{2} << 20;
  if (position_ - given_back_ >= kInHand) {
    give_back_();
    given_back_ = position_;
  }
  return piece;
}

std::string_view PickleMachine::take_line() {
  const auto remaining = rest().first(std::min(rest().size(), kMaxLineBytes));
  const std::string_view text(reinterpret_cast<const char*>(remaining.data()), remaining.size());
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) fail("a global's name without end");
  position_ += end + 1;
  return text.substr(0, end);
}

PickleValue PickleMachine::pop() {
  if (stack_.empty() || stack_.back().kind == Kind::mark) fail("the stack is empty");
  const PickleValue value = stack_.back();
  stack_.pop_back();
  return value;
}

PickleValue& PickleMachine::top(PickleKind kind) {
  if (stack_.empty() || stack_.back().kind != kind)
    fail("an operation on a value of the wrong kind");
  return stack_.back();
}

std::vector<PickleValue> PickleMachine::pop_to_mark() {
  std::size_t mark = stack_.size();
  while (mark > 0 && stack_[mark - 1].kind != Kind::mark)
    --mark;
  if (mark == 0) fail("no MARK on the stack");
  std::vector<PickleValue> values(stack_.begin() + static_cast<std::ptrdiff_t>(mark), stack_.end());
  stack_.resize(mark - 1);
  return values;
}

void PickleMachine::push(PickleKind kind, std::int64_t number, std::span<const std::byte> bytes) {
  stack_.push_back({kind, number, bytes});
}

void PickleMachine::push_tuple(std::vector<PickleValue> values) {
  sequences_.push_back(std::move(values));
  push(Kind::tuple, static_cast<std::int64_t>(sequences_.size()) - 1);
}

void PickleMachine::push_last(std::size_t count) {
  std::vector<PickleValue> values(count);
  for (std::size_t i = count; i-- > 0;)
    values[i] = pop();
  push_tuple(std::move(values));
}

/// LONG1: two's complement of up to 8 bytes; longer ones stay bytes, they are never sizes.
void PickleMachine::push_long(std::size_t size) {
  const std::span<const std::byte> raw = take(size);
  if (size > 8) return push(Kind::bytes, 0, raw);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value |= std::to_integer<std::uint64_t>(raw[i]) << (8 * i);
  const bool negative = size > 0 && (raw[size - 1] & std::byte{0x80}) != std::byte{0};
  if (negative && size < 8) value |= ~std::uint64_t{0} << (8 * size);
  push(Kind::integer, static_cast<std::int64_t>(value));
}

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  push(Kind::global, find_global(module, name));
}

void PickleMachine::append(const PickleValue& list, std::vector<PickleValue> values) {
  auto& target = sequences_[static_cast<std::size_t>(list.number)];
  target.insert(target.end(), values.begin(), values.end());
}

void PickleMachine::set_items(const PickleValue& dict, const std::vector<PickleValue>& values) {
  if (values.size() % 2 != 0) fail("a key without value");
  auto& target = dicts_[static_cast<std::size_t>(dict.number)];
  for (std::size_t i = 0; i < values.size(); i += 2)
    target.emplace_back(values[i], values[i + 1]);
}

std::span<const PickleValue> PickleMachine::items(const PickleValue& tuple_or_list) const {
  if (tuple_or_list.kind != Kind::tuple && tuple_or_list.kind != Kind::list)
    fail("a tuple is needed");
  return sequences_[static_cast<std::size_t>(tuple_or_list.number)];
}

std::span<const std::pair<PickleValue, PickleValue>> PickleMachine::entries(
    const PickleValue& dict) const {
  if (dict.kind != Kind::dict) fail("a dictionary is needed");
  return dicts_[static_cast<std::size_t>(dict.number)];
}

}  // namespace pare::containers
