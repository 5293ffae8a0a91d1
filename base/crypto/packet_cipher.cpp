#include "base/crypto/packet_cipher.h"

#include <openssl/evp.h>

#include <cstdlib>

#include "base/crypto/aead.h"

namespace lab::crypto {

struct PacketCipher::Context {
  EVP_CIPHER_CTX* evp = EVP_CIPHER_CTX_new();
  ~Context() { EVP_CIPHER_CTX_free(evp); }
};

PacketCipher::PacketCipher(std::unique_ptr<Context> context) : context_(std::move(context)) {}
PacketCipher::PacketCipher(PacketCipher&&) noexcept = default;
PacketCipher& PacketCipher::operator=(PacketCipher&&) noexcept = default;
PacketCipher::~PacketCipher() = default;

namespace {

Result<void> check_key(std::string_view key) {
  if (key.size() == kAesKeyBytes) return {};
  return fail(Code::kInvalid, "an AES-256 key has 32 bytes, this one " + std::to_string(key.size()));
}

const unsigned char* raw(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

}  // namespace

Result<PacketCipher> PacketCipher::sealing(std::string_view key) {
  LAB_CHECK(check_key(key));
  auto c = std::make_unique<Context>();
  if (!c->evp || EVP_EncryptInit_ex(c->evp, EVP_aes_256_gcm(), nullptr, raw(key), nullptr) != 1) {
    return fail(Code::kInternal, "AES-256-GCM cannot be set up");
  }
  return PacketCipher(std::move(c));
}

Result<PacketCipher> PacketCipher::opening(std::string_view key) {
  LAB_CHECK(check_key(key));
  auto c = std::make_unique<Context>();
  if (!c->evp || EVP_DecryptInit_ex(c->evp, EVP_aes_256_gcm(), nullptr, raw(key), nullptr) != 1) {
    return fail(Code::kInternal, "AES-256-GCM cannot be set up");
  }
  return PacketCipher(std::move(c));
}

void PacketCipher::seal(const std::uint8_t* nonce, std::span<const std::uint8_t> head, std::span<std::uint8_t> text,
                        std::uint8_t* tag) {
  const Part whole{text.data(), text.data(), text.size()};
  seal(nonce, head, std::span(&whole, 1), tag);
}

bool PacketCipher::open(const std::uint8_t* nonce, std::span<const std::uint8_t> head, std::span<std::uint8_t> text,
                        const std::uint8_t* tag) {
  const Part whole{text.data(), text.data(), text.size()};
  return open(nonce, head, std::span(&whole, 1), tag);
}

void PacketCipher::seal(const std::uint8_t* nonce, std::span<const std::uint8_t> head, std::span<const Part> text,
                        std::uint8_t* tag) {
  auto* c = context_->evp;
  int n = 0;
  std::uint8_t end[kTag];
  bool good = EVP_EncryptInit_ex(c, nullptr, nullptr, nullptr, nonce) == 1 &&
              EVP_EncryptUpdate(c, nullptr, &n, head.data(), static_cast<int>(head.size())) == 1;
  for (const auto& p : text) good = good && EVP_EncryptUpdate(c, p.out, &n, p.in, static_cast<int>(p.size)) == 1;
  good = good && EVP_EncryptFinal_ex(c, end, &n) == 1 && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, kTag, tag) == 1;
  // Nothing outside the program can make this fail, and what is in `text` must not leave half encrypted.
  if (!good) std::abort();
}

bool PacketCipher::open(const std::uint8_t* nonce, std::span<const std::uint8_t> head, std::span<const Part> text,
                        const std::uint8_t* tag) {
  auto* c = context_->evp;
  int n = 0;
  std::uint8_t end[kTag];
  bool good = EVP_DecryptInit_ex(c, nullptr, nullptr, nullptr, nonce) == 1 &&
              EVP_DecryptUpdate(c, nullptr, &n, head.data(), static_cast<int>(head.size())) == 1;
  for (const auto& p : text) good = good && EVP_DecryptUpdate(c, p.out, &n, p.in, static_cast<int>(p.size)) == 1;
  return good && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, kTag, const_cast<std::uint8_t*>(tag)) == 1 &&
         EVP_DecryptFinal_ex(c, end, &n) == 1;
}

}  // namespace lab::crypto
