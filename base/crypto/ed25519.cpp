#include "base/crypto/ed25519.h"

#include <openssl/evp.h>

#include <memory>

namespace lab::crypto {

std::string ed25519_public(std::string_view seed) {
  if (seed.size() != kEd25519Bytes) return {};
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(seed.data()),
                                   seed.size()),
      &EVP_PKEY_free);
  std::string out(kEd25519Bytes, '\0');
  std::size_t size = out.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(out.data()), &size) != 1)
    return {};
  return out;
}

}  // namespace lab::crypto
