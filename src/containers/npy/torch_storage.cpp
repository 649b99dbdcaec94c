#include "containers/npy/torch_storage.h"

#include "containers/in_quotes.h"
#include "containers/npy/codes.h"
#include "containers/npy/pickle_machine.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace pare::containers {
namespace {

using Kind = PickleKind;

constexpr std::array<unsigned char, 10> kMagic = {0x6C, 0xFC, 0x9C, 0x46, 0xF9,
                                                  0x20, 0x6A, 0xA8, 0x50, 0x19};
constexpr std::int64_t kProtocol = 1001;

/// Knows the storage classes and the persistent id of a storage; nothing may be called.
class StorageMachine final : public PickleMachine {
 public:
  using PickleMachine::PickleMachine;

  TorchStorage read() {
    check_magic(run());
    const PickleValue protocol = run();
    if (protocol.kind != Kind::integer || protocol.number != kProtocol)
      fail("not torch's protocol 1001");
    check_machine(run());
    if (run().kind != Kind::object) fail("the inner stream holds no storage");
    check_keys(run());
    return take_data();
  }

 private:
  std::int64_t find_global(std::string_view module, std::string_view name) override {
    const std::optional<DType> dtype = module == "torch" ? dtype_of_storage(name) : std::nullopt;
    if (!dtype)
      fail(fmt::format("the name {} is not allowed in a storage",
                       in_quotes(std::string(module) + "." + std::string(name))));
    return static_cast<std::int64_t>(*dtype);
  }
  PickleValue reduce(const PickleValue&, std::span<const PickleValue>) override {
    fail("a call inside a storage");
  }
  void build(const PickleValue&, const PickleValue&) override { fail("a BUILD inside a storage"); }

  /// ('storage', class, key, location, count, view); the location does not matter.
  PickleValue persistent(const PickleValue& id) override {
    const std::span<const PickleValue> parts = items(id);
    const bool whole = parts.size() == 5 || (parts.size() == 6 && parts[5].kind == Kind::none);
    if (!whole || parts[0].as_text() != "storage" || parts[1].kind != Kind::global ||
        parts[2].kind != Kind::text || parts[4].kind != Kind::integer || parts[4].number < 0) {
      fail("a persistent id that is no plain storage");
    }
    storage_.dtype = static_cast<DType>(parts[1].number);
    storage_.count = parts[4].number;
    key_ = parts[2].as_text();
    return {.kind = Kind::object};
  }

  void check_magic(const PickleValue& magic) const {
    const auto same = [](std::byte a, unsigned char b) {
      return std::to_integer<unsigned char>(a) == b;
    };
    if (magic.kind != Kind::bytes ||
        !std::equal(magic.bytes.begin(), magic.bytes.end(), kMagic.begin(), kMagic.end(), same)) {
      fail("not torch's legacy stream");
    }
  }

  void check_machine(const PickleValue& machine) const {
    for (const auto& [key, value] : entries(machine)) {
      if (key.kind == Kind::text && key.as_text() == "little_endian" && value.number == 0) {
        fail("saved on a big-endian machine");
      }
    }
  }

  void check_keys(const PickleValue& keys) const {
    const std::span<const PickleValue> list = items(keys);
    if (list.size() != 1 || list[0].kind != Kind::text || list[0].as_text() != key_) {
      fail("the list of storages is not the one storage");
    }
  }

  /// int64 count, then exactly the data.
  TorchStorage take_data() {
    constexpr std::size_t kCountBytes = 8;
    const std::span<const std::byte> behind = rest();
    if (behind.size() < kCountBytes) fail("no element count");
    std::uint64_t count = 0;
    for (std::size_t i = kCountBytes; i-- > 0;)
      count = count << 8 | std::to_integer<std::uint64_t>(behind[i]);
    if (count != static_cast<std::uint64_t>(storage_.count)) fail("two different element counts");
    storage_.data = behind.subspan(kCountBytes);
    const std::size_t width = size_of(storage_.dtype);
    if (storage_.data.size() % width != 0 || storage_.data.size() / width != count) {
      fail(fmt::format("{} bytes for {} elements of {}", storage_.data.size(), count, width));
    }
    return storage_;
  }

  TorchStorage storage_;
  std::string_view key_;
};

}  // namespace

TorchStorage read_torch_storage(std::span<const std::byte> stream) {
  return StorageMachine(stream).read();
}

}  // namespace pare::containers
