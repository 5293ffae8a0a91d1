#include "base/crypto/aead.h"

#include <openssl/evp.h>

#include <memory>

#include "base/crypto/digest.h"

namespace lab::crypto {

namespace {

constexpr std::size_t kNonce = 12, kTag = 16;

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* raw(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}
unsigned char* raw(std::string& s) {
  return reinterpret_cast<unsigned char*>(s.data());
}

Result<void> check_key(std::string_view key) {
  if (key.size() == kAesKeyBytes) return {};
  return fail(Code::kInvalid, "an AES-256 key has 32 bytes, this one " + std::to_string(key.size()));
}

}  // namespace

Result<std::string> aes_gcm_seal(std::string_view key, std::string_view text) {
  LAB_CHECK(check_key(key));
  std::string nonce = random_bytes(kNonce), out(text.size(), '\0'), tag(kTag, '\0');
  Context c(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int n = 0;
  bool good = c && EVP_EncryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce)) == 1 &&
              EVP_EncryptUpdate(c.get(), raw(out), &n, raw(text), static_cast<int>(text.size())) == 1 &&
              EVP_EncryptFinal_ex(c.get(), raw(tag), &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_GET_TAG, kTag, tag.data()) == 1;
  if (!good) return fail(Code::kInternal, "AES-256-GCM failed");
  return nonce + out + tag;
}

Result<std::string> aes_gcm_open(std::string_view key, std::string_view sealed) {
  LAB_CHECK(check_key(key));
  if (sealed.size() < kNonce + kTag) return fail(Code::kInvalid, "the encrypted text is cut short");
  auto nonce = sealed.substr(0, kNonce), text = sealed.substr(kNonce, sealed.size() - kNonce - kTag);
  std::string tag(sealed.substr(sealed.size() - kTag)), out(text.size(), '\0');
  Context c(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int n = 0;
  bool good = c && EVP_DecryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce)) == 1 &&
              EVP_DecryptUpdate(c.get(), raw(out), &n, raw(text), static_cast<int>(text.size())) == 1 &&
              EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1;
  unsigned char end[kTag];
  if (!good || EVP_DecryptFinal_ex(c.get(), end, &n) != 1)
    return fail(Code::kInvalid, "the text was encrypted with another key, or was changed");
  return out;
}

}  // namespace lab::crypto
