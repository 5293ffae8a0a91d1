// JSON Web Tokens, key sets, bootstrap tokens and kubeconfigs. Signatures are checked with openssl, not with ourselves.
#include <set>

#include "base/crypto/encoding.h"
#include "base/yaml/yaml.h"
#include "pki/bootstrap_token.h"
#include "pki/certificate.h"
#include "pki/jwt.h"
#include "pki/kubeconfig.h"
#include "tests/unit/pki/fixture.h"

namespace lab::pki {
namespace {

class TokenTest : public PkiTest {
 protected:
  static PublicKey public_of(const PrivateKey& key) { return *PublicKey::from_pem(key.public_pem()); }
};

std::vector<std::string> parts_of(const std::string& token) {
  std::vector<std::string> out(1);
  for (char c : token) {
    if (c == '.')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

TEST(ExpiredTokens, AreKeptWithTheirTimeTheNewestLongest) {
  std::string list;
  EXPECT_EQ(expired_token_time(list, "aaaaaa"), "");
  for (int i = 0; i < 40; ++i)
    list = with_expired_token(list, "id" + std::to_string(1000 + i), "2026-11-22T07:00:" + std::to_string(10 + i) + "Z");
  EXPECT_EQ(expired_token_time(list, "id1039"), "2026-11-22T07:00:49Z");
  EXPECT_EQ(expired_token_time(list, "id1008"), "2026-11-22T07:00:18Z");
  EXPECT_EQ(expired_token_time(list, "id1007"), "") << "the list is bounded";
  EXPECT_EQ(expired_token_time(list, "id103"), "") << "a part of an id is none";
  const auto again = with_expired_token(list, "id1039", "2026-11-23T00:00:00Z");
  EXPECT_EQ(expired_token_time(again, "id1039"), "2026-11-23T00:00:00Z");
  EXPECT_EQ(again.size(), list.size()) << "once each";
}

const json::Value kClaims =
    json::Object{{"iss", "https://kubernetes.default.svc"}, {"sub", "system:serviceaccount:a:b"}};

TEST_F(TokenTest, Rs256IsWhatOpensslVerifies) {
  auto key = PrivateKey::generate(KeyAlgorithm::kRsa2048);
  const auto parts = parts_of(sign_jwt(key, kClaims));
  ASSERT_EQ(parts.size(), 3u);
  auto header = json::parse(*crypto::base64url_decode(parts[0]));
  EXPECT_EQ(json::str(*header, "alg"), "RS256");
  EXPECT_EQ(json::str(*header, "kid"), key_id(public_of(key)));
  EXPECT_EQ(*json::parse(*crypto::base64url_decode(parts[1])), kClaims);
  EXPECT_TRUE(
      contains(openssl({"dgst", "-sha256", "-verify", put("pub.pem", key.public_pem()), "-signature",
                        put("sig", *crypto::base64url_decode(parts[2])), put("text", parts[0] + "." + parts[1])}),
               "Verified OK"));
}

// An INTEGER of DER (X.690, 8.3) from 32 bytes: leading zeros off, one on where the first bit is set.
std::string der_integer(std::string bytes) {
  while (bytes.size() > 1 && bytes[0] == 0 && !(bytes[1] & 0x80)) bytes.erase(0, 1);
  if (bytes[0] & 0x80) bytes.insert(0, 1, '\0');
  return std::string("\x02") + static_cast<char>(bytes.size()) + bytes;
}

TEST_F(TokenTest, Es256IsWhatOpensslVerifies) {
  auto key = PrivateKey::generate(KeyAlgorithm::kEcdsaP256);
  for (int round = 0; round < 8; ++round) {  // r and s differ in length now and then
    const auto parts = parts_of(sign_jwt(key, kClaims));
    ASSERT_EQ(parts.size(), 3u);
    EXPECT_EQ(json::str(*json::parse(*crypto::base64url_decode(parts[0])), "alg"), "ES256");
    const std::string raw = *crypto::base64url_decode(parts[2]);
    ASSERT_EQ(raw.size(), 64u);
    const std::string body = der_integer(raw.substr(0, 32)) + der_integer(raw.substr(32));
    const std::string der = std::string("\x30") + static_cast<char>(body.size()) + body;
    EXPECT_TRUE(contains(openssl({"dgst", "-sha256", "-verify", put("pub.pem", key.public_pem()), "-signature",
                                  put("sig", der), put("text", parts[0] + "." + parts[1])}),
                         "Verified OK"));
  }
}

TEST_F(TokenTest, OnlyWholeTokensOfAKnownKeyAreBelieved) {
  auto ec = PrivateKey::generate(KeyAlgorithm::kEcdsaP256), rsa = PrivateKey::generate(KeyAlgorithm::kRsa2048),
       stranger = PrivateKey::generate(KeyAlgorithm::kEcdsaP256);
  const std::vector<PublicKey> keys{public_of(stranger), public_of(rsa), public_of(ec)};
  for (const auto* key : {&ec, &rsa}) {
    const std::string token = sign_jwt(*key, kClaims);
    auto claims = verify_jwt(keys, token);
    ASSERT_TRUE(claims) << claims.error().text();
    EXPECT_EQ(*claims, kClaims);
    EXPECT_EQ(verify_jwt({public_of(stranger)}, token).error().code, Code::kUnauthorized);
    EXPECT_EQ(verify_jwt({}, token).error().code, Code::kUnauthorized);

    auto parts = parts_of(token);
    const std::string other_claims = crypto::base64url_encode(R"({"sub":"system:admin"})");
    EXPECT_FALSE(verify_jwt(keys, parts[0] + "." + other_claims + "." + parts[2]));
    EXPECT_EQ(json::str(*peek_jwt(parts[0] + "." + other_claims + "." + parts[2]), "sub"), "system:admin")
        << "peeking verifies nothing";
    std::string flipped = *crypto::base64url_decode(parts[2]);
    flipped[10] = static_cast<char>(flipped[10] ^ 1);
    EXPECT_FALSE(verify_jwt(keys, parts[0] + "." + parts[1] + "." + crypto::base64url_encode(flipped)));
    EXPECT_FALSE(verify_jwt(keys, parts[0] + "." + parts[1] + "."));
    // "none", and an algorithm that takes the public key for a shared secret (RFC 8725, 2.1).
    for (const char* alg : {"none", "HS256", ""})
      EXPECT_FALSE(verify_jwt(
          keys, crypto::base64url_encode(std::string(R"({"alg":")") + alg + "\"}") + "." + parts[1] + "." + parts[2]));
  }
  for (const char* bad : {"", ".", "..", "a.b", "a.b.c.d", "!!.!!.!!", "e30.e30.e30"})
    EXPECT_EQ(verify_jwt(keys, bad).error().code, Code::kUnauthorized) << bad;
}

TEST_F(TokenTest, AFileMayHoldSeveralKeys) {
  auto a = PrivateKey::generate(KeyAlgorithm::kEcdsaP256), b = PrivateKey::generate(KeyAlgorithm::kRsa2048);
  auto keys = public_keys(a.public_pem() + "a remark\n" + b.public_pem());
  ASSERT_TRUE(keys) << keys.error().text();
  ASSERT_EQ(keys->size(), 2u);
  for (const auto& key : {a, b}) {
    const auto token = sign_jwt(key, json::Value{{"sub", "x"}});
    EXPECT_TRUE(verify_jwt(*keys, token));
    EXPECT_EQ(token_key_id(token), key_id(public_of(key)));
  }
  EXPECT_FALSE(verify_jwt({(*keys)[1]}, sign_jwt(a, json::Value{{"sub", "x"}})));
  for (const char* bad : {"", "garbage", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"})
    EXPECT_FALSE(public_keys(bad)) << bad;
  for (const char* bad : {"", "a.b", "!!.!!.!!", "e30.e30.e30"}) EXPECT_EQ(token_key_id(bad), "") << bad;
}

TEST_F(TokenTest, TheKeySetHoldsThePublicNumbers) {
  auto ec = PrivateKey::generate(KeyAlgorithm::kEcdsaP256), rsa = PrivateKey::generate(KeyAlgorithm::kRsa2048);
  const auto set = jwks({public_of(ec), public_of(rsa)});
  const auto& keys = json::list(set, "keys");
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(json::str(keys[0], "kty"), "EC");
  EXPECT_EQ(json::str(keys[0], "crv"), "P-256");
  EXPECT_EQ(json::str(keys[0], "alg"), "ES256");
  EXPECT_EQ(json::str(keys[0], "kid"), key_id(public_of(ec)));
  EXPECT_EQ(json::str(keys[1], "kty"), "RSA");
  EXPECT_EQ(json::str(keys[1], "alg"), "RS256");
  EXPECT_EQ(json::str(keys[1], "e"), "AQAB");
  // The uncompressed point 04 || x || y ends the DER of an EC key.
  const std::string point =
      *crypto::base64url_decode(json::str(keys[0], "x")) + *crypto::base64url_decode(json::str(keys[0], "y"));
  ASSERT_EQ(point.size(), 64u);
  EXPECT_TRUE(public_of(ec).der().ends_with("\x04" + point));
  const std::string modulus = openssl({"pkey", "-pubin", "-in", put("rsa.pem", rsa.public_pem()), "-noout", "-text"});
  std::string digits, want = crypto::hex_encode(*crypto::base64url_decode(json::str(keys[1], "n")));
  for (char c : modulus.substr(modulus.find("Modulus:") + 8, modulus.find("Exponent:") - modulus.find("Modulus:") - 8))
    if (std::isxdigit(static_cast<unsigned char>(c))) digits += c;
  EXPECT_EQ(digits, "00" + want);
}

TEST_F(TokenTest, BootstrapTokens) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    auto token = BootstrapToken::generate();
    auto again = BootstrapToken::parse(token.text());
    ASSERT_TRUE(again) << token.text();
    EXPECT_EQ(again->id, token.id);
    EXPECT_EQ(again->secret, token.secret);
    seen.insert(token.secret);
  }
  EXPECT_EQ(seen.size(), 100u);
  auto known = BootstrapToken::parse("abcdef.0123456789abcdef");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->id, "abcdef");
  EXPECT_EQ(known->secret, "0123456789abcdef");
  for (const char* bad :
       {"", ".", "abcdef", "abcdef.", "abcdef.0123456789abcde", "abcdef.0123456789abcdef0", "abcde.0123456789abcdef",
        "ABCDEF.0123456789abcdef", "abcdef.0123456789abcdeF", "abcdef:0123456789abcdef", "abc ef.0123456789abcdef"}) {
    auto refused = BootstrapToken::parse(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, Code::kInvalid);
    EXPECT_FALSE(refused.error().hint.empty());
  }
}

TEST_F(TokenTest, ClusterInfoIsSignedAsOpensslWould) {
  const BootstrapToken token{"abcdef", "0123456789abcdef"};
  const std::string kubeconfig = "apiVersion: v1\nkind: Config\n";
  const std::string jws = sign_cluster_info(kubeconfig, token);
  const auto parts = parts_of(jws);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1], "") << "detached: RFC 7515, appendix F";
  EXPECT_EQ(*crypto::base64url_decode(parts[0]), R"({"alg":"HS256","kid":"abcdef"})");
  const std::string text = put("signed", parts[0] + "." + crypto::base64url_encode(kubeconfig));
  auto mac = run_checked(
      {.argv = {"sh", "-c",
                "openssl dgst -sha256 -hmac \"$1\" -binary \"$2\" | openssl base64 -A | tr '+/' '-_' | tr -d =", "sh",
                token.secret, text}});
  ASSERT_TRUE(mac);
  EXPECT_EQ(parts[2], *mac);
  EXPECT_TRUE(verify_cluster_info(kubeconfig, jws, token));
  EXPECT_FALSE(verify_cluster_info(kubeconfig + " ", jws, token));
  EXPECT_FALSE(verify_cluster_info(kubeconfig, jws, {"abcdef", "0123456789abcdeg"}));
  EXPECT_FALSE(verify_cluster_info(kubeconfig, jws.substr(0, jws.size() - 1), token));
  EXPECT_FALSE(verify_cluster_info(kubeconfig, "", token));
  EXPECT_FALSE(verify_cluster_info(kubeconfig, "..", token));
}

TEST_F(TokenTest, KubeconfigsCarryTheirCredentials) {
  auto ca = Authority::create("kubernetes", std::chrono::hours(1), KeyAlgorithm::kEcdsaP256);
  auto text = kubeconfig_text({.user = "kubernetes-admin",
                               .server = "https://10.0.0.1:6443",
                               .ca_pem = ca.certificate_pem(),
                               .certificate_pem = "CERT",
                               .key_pem = "KEY",
                               .ns = "team"});
  auto config = yaml::parse(text);
  ASSERT_TRUE(config) << text;
  EXPECT_EQ(json::str(*config, "kind"), "Config");
  EXPECT_EQ(json::str(*config, "current-context"), "kubernetes-admin@kubernetes");
  const auto& cluster = json::list(*config, "clusters")[0];
  EXPECT_EQ(json::str(cluster, "name"), "kubernetes");
  EXPECT_EQ(json::str(cluster, "cluster", "server"), "https://10.0.0.1:6443");
  EXPECT_EQ(*crypto::base64_decode(json::str(cluster, "cluster", "certificate-authority-data")), ca.certificate_pem());
  const auto& user = json::list(*config, "users")[0];
  EXPECT_EQ(json::str(user, "name"), "kubernetes-admin");
  EXPECT_EQ(*crypto::base64_decode(json::str(user, "user", "client-certificate-data")), "CERT");
  EXPECT_EQ(*crypto::base64_decode(json::str(user, "user", "client-key-data")), "KEY");
  const auto& context = json::list(*config, "contexts")[0];
  EXPECT_EQ(json::str(context, "context", "namespace"), "team");
  EXPECT_EQ(json::str(context, "context", "user"), "kubernetes-admin");

  auto bootstrap = make_kubeconfig(
      {.user = "tls-bootstrap-token-user", .server = "https://a:1", .token = "abcdef.0123456789abcdef"});
  EXPECT_EQ(json::str(json::list(bootstrap, "users")[0], "user", "token"), "abcdef.0123456789abcdef");
  auto info = make_kubeconfig({.server = "https://a:1", .ca_pem = "CA"});
  EXPECT_TRUE(json::list(info, "users").empty()) << "cluster-info names no user";
  EXPECT_TRUE(json::list(info, "contexts").empty());
  EXPECT_EQ(json::list(info, "clusters").size(), 1u);
}

}  // namespace
}  // namespace lab::pki
