#include "overlay-net/mesh/router.h"

#include "tests/unit/overlay-net/mesh/simulation.h"

namespace lab::overlay::sim {
namespace {

void join_in_line(World& w) {
  for (int i = 0; i + 1 < w.size(); ++i) w.connect(i, i + 1);
  w.run(1s);
}

TEST(Router, ALineKnowsItselfFromEndToEnd) {
  World w(1, 5);
  join_in_line(w);
  EXPECT_TRUE(w.agree(w.all()));
  EXPECT_EQ(w[0].router->topology().distance(w[4].id.name), 4);
  EXPECT_EQ(w[0].router->topology().next_hop(w[4].id.name), w[1].id.name);
}

TEST(Router, UnicastsGoOverSeveralHopsAndToOnePeerAlone) {
  World w(1, 4);
  join_in_line(w);
  ASSERT_TRUE(w[0].words.gossip->send(w[3].id.name, "hello"));
  w.run(1s);
  ASSERT_EQ(w[3].words.letters.size(), 1u);
  EXPECT_EQ(w[3].words.letters[0], (std::pair{w[0].id.name, std::string("hello")}));
  EXPECT_TRUE(w[1].words.letters.empty());
  EXPECT_EQ(w[1].router->counters().relayed, 1u);
  auto lost = w[0].words.gossip->send(peer_name_of("nobody"), "x");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kNotFound);
}

TEST(Router, BroadcastsReachEverybodyOnceInAFullMesh) {
  World w(3, 12);
  for (int i = 0; i < 12; ++i) {
    for (int j = i + 1; j < 12; ++j) w.connect(i, j);
  }
  w.run(2s);
  for (int i = 0; i < 12; ++i) w[i].words.merges = 0;
  auto before = w.messages;
  w[5].words.say("word");
  w.run(300ms);
  EXPECT_TRUE(w.agree(w.all()));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(w[i].words.merges, i == 5 ? 0 : 1) << i;
  EXPECT_LT(w.messages - before, 11u + 3u * 12u * 11u);  // and pings
}

TEST(Router, ANewcomerIsToldWhatWasSaidBefore) {
  World w(1, 4);
  w.connect(0, 1);
  w.connect(1, 2);
  w[0].words.say("early");
  w.run(1s);
  w.connect(2, 3);
  w.run(1s);
  EXPECT_TRUE(w[3].words.words.contains("early"));
}

TEST(Router, AKilledPeerIsForgottenEverywhereAndChannelsHear) {
  World w(5, 6);
  for (int i = 1; i < 6; ++i) w.connect(0, i);
  w.run(1s);
  auto gone = w[5].id.name;
  w.kill(5);
  w.run(1s);
  EXPECT_TRUE(w.agree({0, 1, 2, 3, 4}));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(w[i].words.gone, std::vector{gone}) << i;
  w.start(5);
  w.connect(5, 2);
  w.run(1s);
  EXPECT_TRUE(w.agree(w.all()));
}

TEST(Router, ARestartWithinTheMeshIsTakenForANewRun) {
  World w(6, 4);
  for (int i = 1; i < 4; ++i) w.connect(0, i);
  for (int k = 0; k < 5; ++k) {
    w.kill(3);
    w.start(3);
    w.connect(3, 1 + k % 2);
    w.run(2s);
    ASSERT_TRUE(w.agree(w.all())) << k;
  }
  for (int i : w.all()) EXPECT_FALSE(w[i].router->topology().clash());
}

TEST(Router, SilentLinksAreDroppedAndAStallIsForgiven) {
  World w(7, 2);
  w.connect(0, 1);
  w.run(5s);
  // The other side stops: its silence is noticed in time.
  w[1].running = false;
  w.run(15s);
  EXPECT_EQ(w[0].router->link_count(), 0u);
  ASSERT_EQ(w.drops.size(), 1u);
  EXPECT_NE(w.drops[0].find("nothing was heard"), std::string::npos);

  // This side stood still for an hour (or its clock leapt): what waits to be read is read first.
  World v(8, 2);
  v.connect(0, 1);
  v.run(5s);
  v[0].clock_off += 1h;
  v.run(5s);
  EXPECT_EQ(v[0].router->link_count(), 1u);
  EXPECT_TRUE(v.drops.empty());
  EXPECT_TRUE(v.agree(v.all()));
}

TEST(Router, RoundTripsAreMeasured) {
  World w(9, 2);
  w.connect(0, 1);
  w.run(5s);
  auto rtt = w[0].router->round_trip(w[0].links.begin()->first);
  ASSERT_TRUE(rtt);
  EXPECT_GE(*rtt, 2ms);
  EXPECT_LE(*rtt, 20ms);
}

TEST(Router, AFaultySenderIsDroppedAndNamed) {
  World w(10, 3);
  join_in_line(w);
  w[0].words.gossip->broadcast("!forged");
  w.run(1s);
  ASSERT_FALSE(w.drops.empty());
  EXPECT_NE(w.drops[0].find("channel words: a word that nobody says"), std::string::npos) << w.drops[0];
  EXPECT_EQ(w[0].router->link_count(), 0u);
  EXPECT_EQ(w[1].router->link_count(), 1u);
  EXPECT_EQ(w[1].router->counters().refused, 1u);
}

TEST(Router, OfTwoConnectionsBothSidesKeepTheSame) {
  for (int first : {0, 1}) {
    std::map<LinkId, std::string> fate;
    PeerIdentity a{peer_name_of("a"), 1, "a", {}}, b{peer_name_of("b"), 2, "b", {}};
    if (b.name < a.name) std::swap(a, b);
    std::vector<LinkId> dropped_a, dropped_b;
    Router ra(a, {}, 1, [](LinkId, Message) {}, [&](LinkId id, Error) { dropped_a.push_back(id); });
    Router rb(b, {}, 2, [](LinkId, Message) {}, [&](LinkId id, Error) { dropped_b.push_back(id); });
    TimePoint now{100s};
    // Link 1 is dialled by a, the lower name; link 2 by b.
    auto up = [&](Router& r, LinkId id, const PeerIdentity& remote, bool dialled) {
      return r.link_up(id, remote, dialled, now).has_value();
    };
    bool a1, a2, b1, b2;
    if (first == 0) {
      a1 = up(ra, 1, b, true), b2 = up(rb, 2, a, true), a2 = up(ra, 2, b, false), b1 = up(rb, 1, a, false);
      EXPECT_EQ(dropped_b, std::vector<LinkId>{2});
    } else {
      a2 = up(ra, 2, b, false), b1 = up(rb, 1, a, false), a1 = up(ra, 1, b, true), b2 = up(rb, 2, a, true);
      EXPECT_EQ(dropped_a, std::vector<LinkId>{2});
      EXPECT_TRUE(a2);
    }
    EXPECT_TRUE(a1);
    EXPECT_TRUE(b1);
    if (first == 0) {
      EXPECT_FALSE(a2);
    } else {
      EXPECT_FALSE(b2);
    }
    EXPECT_EQ(ra.link_count(), 1u);
    EXPECT_EQ(rb.link_count(), 1u);
  }
}

TEST(Router, AnotherRunOfANameIsRefusedWhileTheFirstIsAlive) {
  std::vector<std::string> drops;
  PeerIdentity self{peer_name_of("self"), 1, "self", {}}, one{peer_name_of("twin"), 2, "twin", {"10.0.0.2:6783"}};
  auto other = one;
  other.uid = 3;
  Router r(self, {}, 1, [](LinkId, Message) {}, [&](LinkId, Error e) { drops.push_back(e.text()); });
  TimePoint now{100s};
  ASSERT_TRUE(r.link_up(1, one, true, now));
  auto refused = r.link_up(2, other, false, now + 1s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_NE(refused.error().text().find("two nodes are called twin"), std::string::npos) << refused.error().text();
  // The first has been silent for a while: this is its next run.
  EXPECT_TRUE(r.link_up(3, other, false, now + 9s));
  EXPECT_EQ(r.link_count(), 1u);
  auto mine = self;
  mine.uid = 9;
  EXPECT_EQ(r.link_up(4, mine, true, now).error().code, Code::kConflict);
  EXPECT_EQ(r.link_up(5, self, true, now).error().code, Code::kGone);
}

TEST(Router, NoMessageHarms) {
  std::mt19937_64 random(99);
  World w(11, 3);
  join_in_line(w);
  for (int i = 0; i < 5000; ++i) {
    if (w[1].router->link_count() < 2) {
      w.run(2ms);
      w.connect(0, 1);
      w.connect(1, 2);
      w.run(5ms);
    }
    std::string noise(random() % 80, '\0');
    for (auto& c : noise) c = static_cast<char>(random());
    if (!noise.empty() && random() % 8) noise[0] = static_cast<char>(1 + random() % 8);
    if (!w[1].links.empty()) w[1].router->received(w[1].links.begin()->first, noise, w.local(1));
  }
  w.run(10ms);
  w.connect(0, 1);
  w.connect(1, 2);
  w.run(30s);
  EXPECT_GT(w[1].router->counters().refused, 1000u);
  EXPECT_NE(w[1].router->topology().find(w[0].id.name), nullptr);
}

// Tens of peers, some hundreds of steps: links come and go, halves are cut off from each other, peers die and come
// back with another UID, clocks leap. In the end all who can talk agree on everything.
class SimulationOfFaults : public testing::TestWithParam<unsigned> {};

TEST_P(SimulationOfFaults, EverybodyAgreesInTheEnd) {
  const unsigned seed = GetParam();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  const int n = 8 + static_cast<int>(dice() % 25);
  World w(seed, n);
  auto any = [&] { return static_cast<int>(dice() % static_cast<unsigned>(n)); };
  for (int i = 1; i < n; ++i) w.connect(i, static_cast<int>(dice() % static_cast<unsigned>(i)));
  for (int step = 0; step < 60; ++step) {
    switch (dice() % 8) {
      case 0:
        w.kill(any());
        break;
      case 1:
      case 2: {
        int i = any();
        if (!w[i].running) w.start(i);
        w.connect(i, any());
        break;
      }
      case 3: {
        int cut = 1 + any();
        w.partition([cut](int a, int b) { return (a < cut) == (b < cut); });
        break;
      }
      case 4:
        w.heal();
        break;
      case 5: {
        int i = any();
        if (w[i].running) w[i].words.say("w" + std::to_string(step));
        break;
      }
      case 6:
        w[any()].clock_off += std::chrono::seconds(dice() % 5000);
        break;
      default:
        w.connect(any(), any());
    }
    w.run(std::chrono::milliseconds(dice() % 400), dice() % 2);
  }
  w.heal();
  for (int i = 0; i < n; ++i) {
    if (!w[i].running) w.start(i);
  }
  for (int i = 0; i < n; ++i) w.connect(i, (i + 1) % n);
  w.run(40s);
  EXPECT_TRUE(w.agree(w.all()));
  for (const auto& d : w.drops) EXPECT_EQ(d.find("malformed"), std::string::npos) << d;
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulationOfFaults, testing::Range(1u, 41u));

TEST(SimulatedMesh, TwoHalvesGoOnApartAndComeTogether) {
  World w(77, 20);
  for (int i = 1; i < 20; ++i) w.connect(i, i / 2);
  w.run(3s, true);
  ASSERT_TRUE(w.agree(w.all()));
  w.partition([](int a, int b) { return (a < 10) == (b < 10); });
  w[0].words.say("left");
  w[19].words.say("right");
  w.run(3s, true);
  std::vector<int> left, right;
  for (int i = 0; i < 20; ++i) (i < 10 ? left : right).push_back(i);
  EXPECT_TRUE(w.agree(left));
  EXPECT_TRUE(w.agree(right));
  w.heal();
  w.connect(3, 15);
  w.run(5s, true);
  EXPECT_TRUE(w.agree(w.all()));
  EXPECT_TRUE(w[12].words.words.contains("left"));
}

TEST(SimulatedMesh, AHundredPeersThatStartAtOnceMeet) {
  World w(100, 100);
  for (int i = 1; i < 100; ++i) w.connect(i, 0);  // all know one
  w.run(3s, true);
  EXPECT_TRUE(w.agree(w.all()));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(w[i].router->link_count(), 99u) << i;
  RecordProperty("messages", std::to_string(w.messages));
  RecordProperty("bytes", std::to_string(w.bytes));
}

}  // namespace
}  // namespace lab::overlay::sim
