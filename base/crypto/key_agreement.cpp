#include "base/crypto/key_agreement.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <memory>

#include "base/crypto/digest.h"

namespace lab::crypto {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

const unsigned char* raw(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}
unsigned char* raw(std::string& s) {
  return reinterpret_cast<unsigned char*>(s.data());
}

Key secret_key(std::string_view secret) {
  return Key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, raw(secret), secret.size()), EVP_PKEY_free);
}

}  // namespace

X25519Pair x25519_generate() {
  X25519Pair pair{random_bytes(kX25519Bytes), {}};
  auto open = x25519_public(pair.secret);
  if (!open) std::abort();  // any 32 bytes are a secret
  pair.open = std::move(*open);
  return pair;
}

Result<std::string> x25519_public(std::string_view secret) {
  Key key = secret_key(secret);
  std::string out(kX25519Bytes, '\0');
  std::size_t size = out.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), raw(out), &size) != 1 || size != kX25519Bytes) {
    return fail(Code::kInvalid, "an X25519 secret has 32 bytes");
  }
  return out;
}

Result<std::string> x25519_shared(std::string_view secret, std::string_view peer) {
  Key mine = secret_key(secret);
  Key theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, raw(peer), peer.size()), EVP_PKEY_free);
  if (!mine || !theirs) return fail(Code::kInvalid, "an X25519 key has 32 bytes");
  Context context(EVP_PKEY_CTX_new(mine.get(), nullptr), EVP_PKEY_CTX_free);
  std::string out(kX25519Bytes, '\0');
  std::size_t size = out.size();
  // OpenSSL refuses the all-zero result that a point of small order gives (RFC 7748, 6.1).
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), theirs.get()) != 1 ||
      EVP_PKEY_derive(context.get(), raw(out), &size) != 1 || size != kX25519Bytes) {
    return fail(Code::kInvalid, "the other side's X25519 key is not usable");
  }
  return out;
}

std::string hkdf_sha256(std::string_view secret, std::string_view salt, std::string_view info, std::size_t bytes) {
  const std::string key = hmac_sha256(salt, secret);
  std::string out, block;
  for (unsigned char i = 1; out.size() < bytes; ++i) {
    block = hmac_sha256(key, block + std::string(info) + static_cast<char>(i));
    out += block;
  }
  out.resize(bytes);
  return out;
}

std::string key_from_password(std::string_view password, std::string_view salt) {
  std::string out(32, '\0');
  constexpr std::uint64_t kCost = 16384, kBlock = 8, kParallel = 1, kMemory = 64u << 20;
  if (EVP_PBE_scrypt(password.data(), password.size(), raw(salt), salt.size(), kCost, kBlock, kParallel, kMemory,
                     raw(out), out.size()) != 1) {
    std::abort();  // no memory: there is nothing to go on with
  }
  return out;
}

}  // namespace lab::crypto
