// Digests, MACs and encodings against published vectors.
#include <gtest/gtest.h>

#include <set>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"

namespace lab::crypto {
namespace {

TEST(Digest, Sha256OfFips180) {
  EXPECT_EQ(hex_encode(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_encode(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_encode(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex_encode(sha256(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(hex_encode(sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Digest, HmacOfRfc4231) {
  EXPECT_EQ(hex_encode(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex_encode(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_encode(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Digest, ComparesWholeTexts) {
  EXPECT_TRUE(equal_constant_time("same", "same"));
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_FALSE(equal_constant_time("same", "sam"));
  EXPECT_FALSE(equal_constant_time("same", "samf"));
}

TEST(Random, TextsUseTheirAlphabetAndDoNotRepeat) {
  std::set<std::string> seen;
  std::set<char> letters;
  for (int i = 0; i < 500; ++i) {
    const std::string text = random_text(16);
    ASSERT_EQ(text.size(), 16u);
    for (char c : text) {
      EXPECT_TRUE((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) << text;
      letters.insert(c);
    }
    seen.insert(text);
  }
  EXPECT_EQ(seen.size(), 500u);
  EXPECT_EQ(letters.size(), 36u) << "8,000 draws miss one of 36 with a chance below 1e-95";
  EXPECT_EQ(random_text(5, "x"), "xxxxx");
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_NE(random_bytes(32), random_bytes(32));
}

TEST(Random, UuidsAreOfVersion4) {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string id = random_uuid();
    ASSERT_EQ(id.size(), 36u) << id;
    for (std::size_t at = 0; at < id.size(); ++at) {
      if (at == 8 || at == 13 || at == 18 || at == 23)
        EXPECT_EQ(id[at], '-') << id;
      else
        EXPECT_TRUE(std::isxdigit(static_cast<unsigned char>(id[at])) &&
                    !std::isupper(static_cast<unsigned char>(id[at])))
            << id;
    }
    EXPECT_EQ(id[14], '4') << id;
    EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos) << id;
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 200u);
}

TEST(Encoding, Base64OfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(base64_encode(plain), text);
    EXPECT_EQ(*base64_decode(text), plain);
    std::string bare = text;
    while (bare.ends_with('=')) bare.pop_back();
    EXPECT_EQ(base64url_encode(plain), bare);
    EXPECT_EQ(*base64url_decode(bare), plain);
  }
  EXPECT_EQ(base64_encode("\xfb\xff"), "+/8=");
  EXPECT_EQ(base64url_encode("\xfb\xff"), "-_8");
}

TEST(Encoding, EveryByteComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (std::size_t cut = 0; cut < 4; ++cut) {
    const std::string bytes = all.substr(cut);
    EXPECT_EQ(*base64_decode(base64_encode(bytes)), bytes);
    EXPECT_EQ(*base64url_decode(base64url_encode(bytes)), bytes);
  }
  EXPECT_EQ(hex_encode(std::string("\x00\x0f\xff", 3)), "000fff");
}

TEST(Encoding, LinesAreJoinedAndGarbageIsRefused) {
  EXPECT_EQ(*base64_decode("Zm9v\r\n YmFy\n"), "foobar");
  for (const char* bad : {"Zm9v!", "Zm9vY", "Zg===", "Zg==Zg==", "-_8=", "\x80"})
    EXPECT_EQ(base64_decode(bad).error().code, Code::kBadRequest) << bad;
  EXPECT_FALSE(base64url_decode("+/8"));
}

}  // namespace
}  // namespace lab::crypto
