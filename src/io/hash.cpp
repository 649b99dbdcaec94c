#include "io/hash.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // the same functions for the CPU at hand: up to eight times as fast
#endif

#include <array>
#include <new>

namespace pare::io {

namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

std::string hex_of(const Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 0xFU];
  }
  return hex;
}

}  // namespace

std::string sha256_hex(std::span<const std::byte> data) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data());
  return hex_of(digest);
}

std::string sha256_hex(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

std::uint64_t xxh3(std::span<const std::byte> data) noexcept {
  return XXH3_64bits(data.data(), data.size());
}

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  EVP_MD_CTX* context = state_->context.get();
  if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) {
    throw std::bad_alloc();
  }
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> piece) {
  EVP_DigestUpdate(state_->context.get(), piece.data(), piece.size());
}

std::string Sha256::hex() {
  Digest digest{};
  EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr);
  return hex_of(digest);
}

struct Xxh3::State {
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash{XXH3_createState(), XXH3_freeState};
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) {
  if (state_->hash == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(state_->hash.get());
}

Xxh3::~Xxh3() = default;

void Xxh3::update(std::span<const std::byte> piece) noexcept {
  XXH3_64bits_update(state_->hash.get(), piece.data(), piece.size());
}

std::uint64_t Xxh3::value() const noexcept { return XXH3_64bits_digest(state_->hash.get()); }

}  // namespace pare::io
