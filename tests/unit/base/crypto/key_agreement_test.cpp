#include "base/crypto/key_agreement.h"

#include <gtest/gtest.h>

#include "base/crypto/encoding.h"
#include "base/crypto/packet_cipher.h"

namespace lab::crypto {
namespace {

std::string bytes(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

TEST(KeyAgreement, X25519OfRfc7748) {
  // Section 6.1: Bob's secret and both public keys.
  auto bob = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  auto alice_open = bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(hex_encode(*x25519_public(bob)), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  EXPECT_EQ(hex_encode(*x25519_shared(bob, alice_open)),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

TEST(KeyAgreement, TwoSidesAgreeAndBadKeysAreRefused) {
  auto a = x25519_generate(), b = x25519_generate();
  EXPECT_NE(a.secret, b.secret);
  EXPECT_EQ(*x25519_shared(a.secret, b.open), *x25519_shared(b.secret, a.open));
  EXPECT_FALSE(x25519_shared(a.secret, std::string(32, '\0'))) << "a point of small order";
  EXPECT_FALSE(x25519_shared(a.secret, "short"));
  EXPECT_FALSE(x25519_public("short"));
}

TEST(KeyAgreement, HkdfOfRfc5869) {
  // Test cases 1 and 3.
  auto secret = bytes("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
  EXPECT_EQ(hex_encode(hkdf_sha256(secret, bytes("000102030405060708090a0b0c"), bytes("f0f1f2f3f4f5f6f7f8f9"), 42)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(hex_encode(hkdf_sha256(secret, "", "", 42)),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(KeyAgreement, PasswordsGiveDifferentKeys) {
  auto key = key_from_password("secret", "lab");
  EXPECT_EQ(key.size(), 32u);
  EXPECT_EQ(key, key_from_password("secret", "lab"));
  EXPECT_NE(key, key_from_password("Secret", "lab"));
  EXPECT_NE(key, key_from_password("secret", "bal"));
}

// The test vector of the GCM specification (McGrew and Viega), test case 16: AES-256 with additional data.
TEST(PacketCipher, VectorOfTheGcmSpecification) {
  auto key = bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  auto nonce = bytes("cafebabefacedbaddecaf888"), head = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  auto text = bytes(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
      "ba637b39");
  const auto plain = text;
  auto u8 = [](std::string& s) { return reinterpret_cast<std::uint8_t*>(s.data()); };
  auto span = [&](std::string& s) { return std::span<std::uint8_t>(u8(s), s.size()); };
  std::string tag(PacketCipher::kTag, '\0');
  auto seal = PacketCipher::sealing(key), open = PacketCipher::opening(key);
  ASSERT_TRUE(seal && open);
  for (int round = 0; round < 2; ++round) {  // a context serves many packets
    text = plain;
    seal->seal(u8(nonce), span(head), span(text), u8(tag));
    EXPECT_EQ(hex_encode(text),
              "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e63"
              "93ba7a0a"
              "bcc9f662");
    EXPECT_EQ(hex_encode(tag), "76fc6ece0f4e1768cddf8853bb2d551b");
    EXPECT_TRUE(open->open(u8(nonce), span(head), span(text), u8(tag)));
    EXPECT_EQ(text, plain);
    // In parts, from one place to another, it is the same.
    for (std::size_t cut : {1u, 16u, 33u}) {
      std::string out(plain.size(), '\0'), back = out, same(PacketCipher::kTag, '\0');
      auto parts = [&](std::string& in, std::string& to) {
        return std::vector<PacketCipher::Part>{{u8(in), u8(to), cut}, {u8(in) + cut, u8(to) + cut, in.size() - cut}};
      };
      seal->seal(u8(nonce), span(head), parts(text, out), u8(same));
      EXPECT_EQ(same, tag);
      EXPECT_TRUE(open->open(u8(nonce), span(head), parts(out, back), u8(tag)));
      EXPECT_EQ(back, plain);
      out[cut] = static_cast<char>(out[cut] ^ 1);
      EXPECT_FALSE(open->open(u8(nonce), span(head), parts(out, back), u8(tag)));
    }
  }
  head[0] ^= 1;
  text = plain;
  EXPECT_FALSE(open->open(u8(nonce), span(head), span(text), u8(tag)));
  EXPECT_FALSE(PacketCipher::sealing("short"));
}

}  // namespace
}  // namespace lab::crypto
