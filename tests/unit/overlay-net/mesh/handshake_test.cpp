#include "overlay-net/mesh/handshake.h"

#include <gtest/gtest.h>

#include <random>

#include "base/crypto/key_agreement.h"
#include "base/io/scope.h"
#include "pki/certificate.h"

namespace lab::overlay {
namespace {

using Credentials = std::shared_ptr<const MeshCredentials>;

Credentials password(const std::string& word) {
  return std::make_shared<MeshCredentials>(MeshCredentials{.password_key = mesh_password_key(word)});
}

const pki::Authority& authority() {
  static const auto ca = pki::Authority::create("kubernetes", std::chrono::hours(24), pki::KeyAlgorithm::kEcdsaP256);
  return ca;
}

Credentials certificate(const std::string& node, const pki::Authority& ca = authority(),
                        const std::string& organization = "system:nodes",
                        std::chrono::hours validity = std::chrono::hours(1)) {
  auto key = pki::PrivateKey::generate();
  auto pem = ca.issue({.common_name = "system:node:" + node,
                       .organizations = {organization},
                       .client_auth = true,
                       .validity = validity},
                      key);
  return std::make_shared<MeshCredentials>(
      MeshCredentials{.ca_pem = authority().certificate_pem(), .certificate_pem = *pem, .private_key_pem = key.pem()});
}

PeerIdentity identity(const std::string& node) {
  return {peer_name_of(node), 100 + node.size() + static_cast<unsigned char>(node[0]), node, {"10.0.0.1:6783"}};
}

struct Both {
  std::optional<Result<MeshSession>> dialler, listener;
};

Result<void> anybody(const PeerIdentity&) {
  return {};
}

Task<void> one_side(Stream& stream, bool dialler, PeerIdentity self, Credentials c,
                    std::optional<Result<MeshSession>>& out, std::function<Result<void>(const PeerIdentity&)> admit) {
  out = co_await shake_hands(stream, dialler, std::move(self), std::move(c),
                             dialler ? "10.0.0.2:6783" : "10.0.0.1:50000", std::move(admit));
  if (!*out) stream.close();
}

Task<void> both_sides(Both& both, Credentials a, Credentials b, PeerIdentity ia, PeerIdentity ib,
                      std::function<Result<void>(const PeerIdentity&)> admit) {
  auto [near, far] = stream_pair();
  Scope scope(*Loop::current());
  scope.spawn("listener", one_side(*far, false, ib, b, both.listener, admit));
  co_await one_side(*near, true, ia, a, both.dialler, anybody);
  co_await scope.close();
}

Both shake(Credentials a, Credentials b, PeerIdentity ia = identity("one"), PeerIdentity ib = identity("two"),
           std::function<Result<void>(const PeerIdentity&)> admit = anybody) {
  Both both;
  run_task(both_sides(both, a, b, ia, ib, admit));
  return both;
}

void expect_talk(Both& both) {
  ASSERT_TRUE(*both.dialler) << both.dialler->error().text();
  ASSERT_TRUE(*both.listener) << both.listener->error().text();
  EXPECT_EQ((*both.dialler)->remote, identity("two"));
  EXPECT_EQ((*both.listener)->remote, identity("one"));
  std::string wire;
  (*both.dialler)->out.seal("there", wire);
  EXPECT_EQ(**(*both.listener)->in.next(wire), "there");
  (*both.listener)->out.seal("and back", wire);
  EXPECT_EQ(wire.find("and back"), std::string::npos);
  EXPECT_EQ(**(*both.dialler)->in.next(wire), "and back");
}

TEST(Handshake, WithTheSamePassword) {
  auto both = shake(password("correct horse"), password("correct horse"));
  expect_talk(both);
}

TEST(Handshake, AWrongPasswordIsNamedOnBothSides) {
  auto both = shake(password("right"), password("wrong"));
  for (auto* side : {&both.dialler, &both.listener}) {
    ASSERT_FALSE(**side);
    EXPECT_EQ((*side)->error().code, Code::kUnauthorized);
    EXPECT_NE((*side)->error().text().find("wrong password"), std::string::npos) << (*side)->error().text();
  }
}

TEST(Handshake, WithTheClustersCertificates) {
  auto both = shake(certificate("one"), certificate("two"));
  expect_talk(both);
}

TEST(Handshake, CertificatesThatDoNotShowAPeerOfThisClusterAreRefused) {
  auto other = pki::Authority::create("kubernetes", std::chrono::hours(24), pki::KeyAlgorithm::kEcdsaP256);
  auto refused = [](Both both) {
    ASSERT_FALSE(*both.listener);
    ASSERT_FALSE(*both.dialler);
    EXPECT_EQ(both.listener->error().code, Code::kUnauthorized) << both.listener->error().text();
    EXPECT_NE(both.dialler->error().text().find("certificates"), std::string::npos) << both.dialler->error().text();
  };
  refused(shake(certificate("one", other), certificate("two")));                                // another CA
  refused(shake(certificate("mallory"), certificate("two")));                                   // another node's
  refused(shake(certificate("one", authority(), "system:authenticated"), certificate("two")));  // no node's
  auto named = identity("one");
  named.name = peer_name_of("two");  // of another name
  refused(shake(certificate("one"), certificate("two"), named));
  // A certificate without its key.
  auto stolen = std::make_shared<MeshCredentials>(*certificate("one"));
  stolen->private_key_pem = pki::PrivateKey::generate().pem();
  refused(shake(stolen, certificate("two")));
}

TEST(Handshake, PasswordAndCertificatesDoNotMix) {
  auto both = shake(password("x"), certificate("two"));
  ASSERT_FALSE(*both.dialler);
  EXPECT_NE(both.dialler->error().text().find("do not prove themselves in the same way"), std::string::npos);
}

TEST(Handshake, WhoIsNotAdmittedHearsWhy) {
  auto both = shake(password("x"), password("x"), identity("one"), identity("two"),
                    [](const PeerIdentity&) -> Result<void> { return fail(Code::kConflict, "a twin"); });
  ASSERT_FALSE(*both.dialler);
  EXPECT_EQ(both.dialler->error().code, Code::kConflict);
  EXPECT_NE(both.dialler->error().text().find("another peer has the name of this node"), std::string::npos);
  EXPECT_EQ(both.listener->error().message, "a twin");
}

// What the other side sends is given; the answer is the error that this side comes to.
Task<void> against(std::string bytes, bool dialler, std::optional<Error>& out) {
  auto [near, far] = stream_pair();
  (void)co_await far->write(bytes);
  (void)co_await far->shutdown_write();
  static const auto secret = password("x");
  auto r = co_await shake_hands(*near, dialler, identity("one"), secret, "10.0.0.9:1", anybody);
  if (!r) out = r.error();
}

std::optional<Error> error_against(const std::string& bytes, bool dialler = false) {
  std::optional<Error> out;
  run_task(against(bytes, dialler, out));
  return out;
}

TEST(Handshake, GarbageIsTurnedAway) {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\x16\x03\x01\x02", 4), std::string("LAB-MESX")}) {
    auto e = error_against(bytes);
    ASSERT_TRUE(e);
    EXPECT_NE(e->message.find("does not speak the mesh's protocol"), std::string::npos) << e->text();
  }
  EXPECT_EQ(error_against("")->code, Code::kUnavailable);
  EXPECT_EQ(error_against("LAB-ME")->code, Code::kUnavailable);
}

TEST(Handshake, AnotherVersionIsNamed) {
  auto e = error_against(encode_hello({.min_version = 7, .max_version = 9, .key = std::string(32, 'k')}));
  EXPECT_NE(e->message.find("another version"), std::string::npos) << e->text();
}

// A recorded conversation, played again: the keys are others now.
TEST(Handshake, ARecordingIsWorthNothing) {
  auto hello = encode_hello({.key = crypto::x25519_generate().open});
  auto sealer = FrameSealer(*crypto::PacketCipher::sealing(std::string(32, 'r')));
  std::string frame;
  sealer.seal("an old proof", frame);
  auto e = error_against(hello + frame);
  EXPECT_EQ(e->code, Code::kUnauthorized) << e->text();
}

TEST(Handshake, NoBytesHarm) {
  std::mt19937 random(4242);
  const auto good = encode_hello({.key = crypto::x25519_generate().open});
  for (int i = 0; i < 2000; ++i) {
    auto bytes = random() % 2 ? good : good.substr(0, random() % good.size());
    std::string noise(random() % 100, '\0');
    for (auto& c : noise) c = static_cast<char>(random());
    bytes += noise;
    if (random() % 2 && !bytes.empty()) bytes[random() % bytes.size()] = static_cast<char>(random());
    EXPECT_TRUE(error_against(bytes, random() % 2)) << i;
  }
}

TEST(Hello, RoundTripAndBounds) {
  Hello v{.certificates = true, .key = std::string(32, 'z')};
  auto bytes = encode_hello(v);
  ASSERT_EQ(bytes.size(), kHelloBytes);
  auto back = decode_hello(bytes);
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->certificates);
  EXPECT_EQ(back->key, v.key);
  EXPECT_FALSE(decode_hello(bytes + "x"));
  bytes[11] = 9;
  EXPECT_FALSE(decode_hello(bytes));
}

}  // namespace
}  // namespace lab::overlay
