#include <gtest/gtest.h>

#include "overlay-net/crypto/handshake.h"
#include "pki/certificate.h"

namespace lab::overlay {
namespace {

using Opened = Session::Opened;

const Parties kParties{.initiator = {{1, 2, 3, 4, 5, 6}}, .responder = {{6, 5, 4, 3, 2, 1}}, .key_id = 9};

struct HandshakeTest : testing::Test {
  static std::unique_ptr<Authenticator> ours, other;  // dear to make
  static void SetUpTestSuite() {
    ours = authenticate_by_password("correct horse");
    other = authenticate_by_password("battery staple");
  }
};

std::unique_ptr<Authenticator> HandshakeTest::ours, HandshakeTest::other;

TEST_F(HandshakeTest, BothSidesGetTheSameKeysCrossed) {
  Initiator a(*ours, kParties);
  auto b = respond(*ours, kParties, "a", a.hello());
  ASSERT_TRUE(b) << b.error().text();
  auto keys = a.finish("b", b->answer);
  ASSERT_TRUE(keys) << keys.error().text();
  EXPECT_EQ(keys->seal, b->keys.open);
  EXPECT_EQ(keys->open, b->keys.seal);
  EXPECT_NE(keys->seal, keys->open);
  // Fresh every time.
  Initiator again(*ours, kParties);
  EXPECT_NE(again.hello(), a.hello());
  EXPECT_NE(respond(*ours, kParties, "a", a.hello())->keys.seal, b->keys.seal);
}

TEST_F(HandshakeTest, AnotherPasswordIsRefusedOnBothSides) {
  Initiator a(*ours, kParties);
  auto refused = respond(*other, kParties, "a", a.hello());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnauthorized);
  EXPECT_NE(refused.error().text().find("--password-file"), std::string::npos);
  Initiator theirs(*other, kParties);
  auto answer = respond(*other, kParties, "a", theirs.hello());
  ASSERT_TRUE(answer);
  EXPECT_FALSE(a.finish("b", answer->answer));
}

TEST_F(HandshakeTest, OtherNamesKeyIdsAndRolesAreRefused) {
  Initiator a(*ours, kParties);
  auto with = [&](PeerName i, PeerName r, std::uint8_t id) {
    return respond(*ours, {.initiator = i, .responder = r, .key_id = id}, "a", a.hello()).has_value();
  };
  EXPECT_TRUE(with(kParties.initiator, kParties.responder, 9));
  EXPECT_FALSE(with(kParties.initiator, kParties.responder, 10));
  EXPECT_FALSE(with(kParties.responder, kParties.initiator, 9));  // reflected
  EXPECT_FALSE(with({{1, 2, 3, 4, 5, 7}}, kParties.responder, 9));
  // Its own hello is no answer.
  EXPECT_FALSE(a.finish("b", a.hello()));
}

TEST_F(HandshakeTest, AnyFlippedOrMissingByteIsRefused) {
  Initiator a(*ours, kParties);
  auto b = respond(*ours, kParties, "a", a.hello());
  ASSERT_TRUE(b);
  for (std::size_t i = 0; i < a.hello().size(); ++i) {
    auto bad = a.hello();
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(respond(*ours, kParties, "a", bad)) << i;
    EXPECT_FALSE(respond(*ours, kParties, "a", a.hello().substr(0, i))) << i;
  }
  for (std::size_t i = 0; i < b->answer.size(); ++i) {
    auto bad = b->answer;
    bad[i] = static_cast<char>(bad[i] ^ 0x80);
    EXPECT_FALSE(a.finish("b", bad)) << i;
    EXPECT_FALSE(a.finish("b", b->answer.substr(0, i))) << i;
  }
  EXPECT_FALSE(respond(*ours, kParties, "a", std::string(kMaxHandshake + 1, 'x')));
}

TEST_F(HandshakeTest, ALaterAnswerOfTheSameExchangeIsStillGood) {
  Initiator a(*ours, kParties);
  auto first = respond(*ours, kParties, "a", a.hello()), second = respond(*ours, kParties, "a", a.hello());
  EXPECT_EQ(a.finish("b", second->answer)->seal, second->keys.open);
  EXPECT_EQ(a.finish("b", first->answer)->seal, first->keys.open);
}

// Nodes of a cluster, by their client certificates.
struct Node {
  pki::PrivateKey key;
  std::unique_ptr<Authenticator> authenticator;
};
Node node(const pki::Authority& ca, const std::string& name, pki::KeyAlgorithm algorithm, const std::string& trusted,
          std::chrono::hours validity = std::chrono::hours(24)) {
  auto key = pki::PrivateKey::generate(algorithm);
  auto pem = ca.issue(
      {.common_name = name, .organizations = {"system:nodes"}, .client_auth = true, .validity = validity}, key);
  EXPECT_TRUE(pem);
  NodeCertificate own{trusted, *pem, key.pem()};
  return {key, authenticate_by_certificate([own]() -> Result<NodeCertificate> { return own; })};
}

TEST(Certificates, NodesOfOneClusterAgreeAndOthersDoNot) {
  for (auto algorithm : {pki::KeyAlgorithm::kEcdsaP256, pki::KeyAlgorithm::kRsa2048}) {
    auto ca = pki::Authority::create("kubernetes", std::chrono::hours(24), algorithm);
    const auto trusted = ca.certificate_pem();
    auto a = node(ca, "system:node:a", algorithm, trusted), b = node(ca, "system:node:b", algorithm, trusted);
    Initiator i(*a.authenticator, kParties);
    ASSERT_LE(i.hello().size(), kMaxHandshake);
    auto r = respond(*b.authenticator, kParties, "a", i.hello());
    ASSERT_TRUE(r) << r.error().text();
    auto keys = i.finish("b", r->answer);
    ASSERT_TRUE(keys) << keys.error().text();
    EXPECT_EQ(keys->seal, r->keys.open);
    // It is not somebody else's.
    EXPECT_FALSE(respond(*b.authenticator, kParties, "c", i.hello()));
    EXPECT_FALSE(i.finish("c", r->answer));
    if (algorithm == pki::KeyAlgorithm::kRsa2048) continue;  // its keys are slow to make
    auto other = pki::Authority::create("kubernetes", std::chrono::hours(24), algorithm);
    // Of another cluster, of no node, run out, with a password, with another's key.
    auto refused = [&](const Authenticator& who) {
      Initiator x(who, kParties);
      auto out = respond(*b.authenticator, kParties, "a", x.hello());
      return out ? std::string() : out.error().text();
    };
    EXPECT_NE(refused(*node(other, "system:node:a", algorithm, trusted).authenticator).find("CA"), std::string::npos);
    EXPECT_NE(refused(*node(ca, "admin", algorithm, trusted).authenticator).find("admin"), std::string::npos);
    EXPECT_NE(
        refused(*node(ca, "system:node:a", algorithm, trusted, std::chrono::hours(-1)).authenticator).find("clocks"),
        std::string::npos);
    EXPECT_NE(refused(*authenticate_by_password("secret")).find("no certificate"), std::string::npos);
    auto bad = i.hello();
    bad.back() = static_cast<char>(bad.back() ^ 1);
    auto forged = respond(*b.authenticator, kParties, "a", bad);
    ASSERT_FALSE(forged);
    EXPECT_NE(forged.error().text().find("signature"), std::string::npos);
  }
}

TEST(Certificates, AnyCutHelloIsRefused) {
  auto ca = pki::Authority::create("kubernetes", std::chrono::hours(24), pki::KeyAlgorithm::kEcdsaP256);
  auto a = node(ca, "system:node:a", pki::KeyAlgorithm::kEcdsaP256, ca.certificate_pem());
  Initiator i(*a.authenticator, kParties);
  for (std::size_t n = 0; n < i.hello().size(); n += 3) {
    EXPECT_FALSE(respond(*a.authenticator, kParties, "a", i.hello().substr(0, n))) << n;
  }
}

// Keys change under traffic in both directions with packets under way, some lost, some late: none that arrives is
// refused, none is taken twice.
TEST_F(HandshakeTest, KeysChangeUnderTrafficWithoutLoss) {
  struct Packet {
    std::uint8_t key;
    std::uint64_t counter;
    std::vector<std::uint8_t> text, tag;
  };
  auto send = [](Session& s) {
    Packet p{s.id(), s.next_counter(), std::vector<std::uint8_t>(20, 7), std::vector<std::uint8_t>(16)};
    s.seal(p.counter, std::span(&p.key, 1), p.text, p.tag.data());
    return p;
  };
  auto receive = [](KeyRing& ring, Packet p, KeyRing::TimePoint now) {
    auto* s = ring.receiving(p.key);
    if (!s) return false;
    if (s->open(p.counter, std::span(&p.key, 1), p.text, p.tag.data()) != Opened::kGood) return false;
    ring.confirmed(p.key, now);
    return true;
  };
  KeyRing a({.age = std::chrono::seconds(10)}), b({.age = std::chrono::seconds(10)});
  KeyRing::TimePoint now{};
  std::uint8_t id = 200;
  std::vector<Packet> to_a, to_b;
  int delivered = 0, rotations = 0;
  for (int step = 0; step < 3000; ++step) {
    now += std::chrono::milliseconds(20);
    if (a.due(now) && !a.pending()) {
      Parties p = kParties;
      p.key_id = ++id;
      Initiator i(*ours, p);
      auto r = respond(*ours, p, "a", i.hello());
      ASSERT_TRUE(r);
      b.install(*Session::make(p.key_id, r->keys), now);
      a.install(*Session::make(p.key_id, *i.finish("b", r->answer)), now);
      ++rotations;
    }
    // The initiator makes itself heard under the new key; everything else goes under the one in use.
    if (a.pending()) to_b.push_back(send(*a.pending()));
    if (a.sending()) to_b.push_back(send(*a.sending()));
    if (b.sending()) to_a.push_back(send(*b.sending()));
    // Up to five packets are under way; every seventh step the newest overtakes.
    for (auto [queue, ring] : {std::pair{&to_a, &a}, std::pair{&to_b, &b}}) {
      while (queue->size() > 5) {
        auto at = step % 7 == 0 ? queue->end() - 1 : queue->begin();
        Packet p = *at;
        queue->erase(at);
        ASSERT_TRUE(receive(*ring, p, now)) << "step " << step << " key " << int(p.key);
        ASSERT_FALSE(receive(*ring, p, now)) << "taken twice";
        ++delivered;
      }
    }
  }
  EXPECT_GT(rotations, 4);
  EXPECT_GT(delivered, 5000);
}

}  // namespace
}  // namespace lab::overlay
