#include <gtest/gtest.h>

#include "overlay-net/crypto/handshake.h"

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
