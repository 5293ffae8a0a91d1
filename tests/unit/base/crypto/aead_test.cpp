#include "base/crypto/aead.h"

#include <gtest/gtest.h>

namespace lab::crypto {
namespace {

const std::string kKey(kAesKeyBytes, 'k');

TEST(AesGcm, WhatIsSealedOpensAgain) {
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4096}}) {
    std::string text(size, '\x7f');
    auto sealed = aes_gcm_seal(kKey, text);
    ASSERT_TRUE(sealed);
    EXPECT_EQ(sealed->size(), size + 12 + 16);
    auto opened = aes_gcm_open(kKey, *sealed);
    ASSERT_TRUE(opened) << opened.error().text();
    EXPECT_EQ(*opened, text);
  }
  EXPECT_NE(*aes_gcm_seal(kKey, "same"), *aes_gcm_seal(kKey, "same")) << "every text has its own nonce";
}

// NIST's test case 14 of GCM: key and nonce of zeros, one block of zeros.
TEST(AesGcm, OpensAKnownAnswer) {
  std::string sealed(12, '\0');
  const unsigned char body[] = {0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5,
                                0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99,
                                0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19};
  sealed.append(reinterpret_cast<const char*>(body), sizeof body);
  auto opened = aes_gcm_open(std::string(32, '\0'), sealed);
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(*opened, std::string(16, '\0'));
}

TEST(AesGcm, AnotherKeyOrAnyChangedByteIsRefused) {
  auto sealed = aes_gcm_seal(kKey, "the cluster's CA key");
  ASSERT_TRUE(sealed);
  EXPECT_EQ(aes_gcm_open(std::string(kAesKeyBytes, 'x'), *sealed).error().code, Code::kInvalid);
  for (std::size_t i = 0; i < sealed->size(); ++i) {
    std::string bad = *sealed;
    bad[i] ^= 1;
    EXPECT_FALSE(aes_gcm_open(kKey, bad)) << i;
  }
  EXPECT_FALSE(aes_gcm_open(kKey, "short"));
  EXPECT_FALSE(aes_gcm_open("short", *sealed));
  EXPECT_FALSE(aes_gcm_seal("short", "text"));
}

}  // namespace
}  // namespace lab::crypto
