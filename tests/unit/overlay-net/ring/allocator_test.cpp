// RingAllocators with real files, over the mesh's routers in one process: links that are cut, and forged updates.
#include "overlay-net/ring/ring_allocator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/fs.h"
#include "overlay-net/mesh/router.h"

namespace lab::overlay::ring {
namespace {

using namespace std::chrono_literals;

// A Gossip that the test holds in its hand.
struct Wire final : Gossip {
  void broadcast(std::string update) override { updates.push_back(std::move(update)); }
  Result<void> send(PeerName to, std::string message) override {
    if (!reachable) return fail(Code::kNotFound, "no path");
    messages.emplace_back(to, std::move(message));
    return {};
  }
  bool reachable = true;
  std::vector<std::string> updates;
  std::vector<std::pair<PeerName, std::string>> messages;
};

struct AllocatorTest : testing::Test {
  std::string dir = "/dev/shm/lab-ring-" + std::to_string(::getpid());
  EventLoop loop;
  void TearDown() override { (void)fs::remove_all(dir); }

  RingAllocatorOptions options(const std::string& node, std::vector<std::string> founders, const char* range) {
    RingAllocatorOptions out{.state_dir = dir + "/" + node, .loop = &loop};
    out.ring = {.self = peer_name_of(node), .nickname = node, .range = *Cidr::parse(range), .seed = node.back() + 1u};
    for (const auto& f : founders) out.ring.founders.push_back(peer_name_of(f));
    return out;
  }
  std::unique_ptr<RingAllocator> open(const std::string& node, std::vector<std::string> founders = {"a"},
                                      const char* range = "10.0.0.0/24") {
    auto out = RingAllocator::open(options(node, std::move(founders), range));
    if (!out) throw std::runtime_error(out.error().text());
    return std::move(*out);
  }
};

TEST_F(AllocatorTest, OneFounderGivesAndRemembers) {
  Wire wire;
  std::set<std::string> given;
  {
    auto a = open("a");
    a->attach(wire);
    auto early = a->allocate("x", "");
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().code, Code::kTooManyRequests);
    EXPECT_NE(early.error().text().find("founders have not agreed"), std::string::npos) << early.error().text();
    a->tick();
    for (int i = 0; i < 10; ++i) given.insert(a->allocate("o" + std::to_string(i), "note")->address.text());
    EXPECT_EQ(given.size(), 10u);
    EXPECT_EQ(a->allocate("o3", "")->address, a->find("o3")->address);
    ASSERT_TRUE(a->release("o3"));
    given.erase("10.0.0.4");
  }
  auto a = open("a");
  EXPECT_EQ(a->usage().used, 9u);
  EXPECT_EQ(a->usage().total, 256u);
  for (int i = 0; i < 245; ++i) {
    auto got = a->allocate("p" + std::to_string(i), "");
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_TRUE(given.insert(got->address.text()).second) << got->address.text();
  }
  EXPECT_FALSE(given.contains("10.0.0.0") || given.contains("10.0.0.255"));
  EXPECT_FALSE(a->allocate("one more", ""));
}

TEST_F(AllocatorTest, AnotherRangeAndADamagedFileAreTold) {
  Wire wire;
  {
    auto a = open("a");
    a->attach(wire);
    a->tick();
  }
  auto other = RingAllocator::open(options("a", {"a"}, "10.9.0.0/24"));
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().text().find("10.0.0.0/24"), std::string::npos) << other.error().text();
  auto path = dir + "/a/ring.state";
  auto bytes = fs::read_file(path).value();
  ASSERT_TRUE(fs::write_file(path, bytes.substr(0, bytes.size() - 1)));
  auto damaged = RingAllocator::open(options("a", {"a"}, "10.0.0.0/24"));
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().text().find("damaged"), std::string::npos) << damaged.error().text();
}

// A full or failing disk: what cannot be saved is not told, and nothing is given from it.
TEST_F(AllocatorTest, WhatCannotBeSavedDoesNotHappen) {
  Wire wire;
  auto a = open("a");
  a->attach(wire);
  (void)fs::remove_all(dir + "/a");
  ASSERT_TRUE(fs::write_file(dir + "/a", "in the way"));
  a->tick();
  EXPECT_TRUE(wire.updates.empty());
  EXPECT_FALSE(a->allocate("x", ""));
  ASSERT_TRUE(fs::remove_file(dir + "/a"));
  ASSERT_TRUE(fs::make_dirs(dir + "/a"));
  for (int i = 0; i < 20 && a->usage().total == 0; ++i) a->tick();
  EXPECT_FALSE(wire.updates.empty());
  EXPECT_EQ(a->usage().total, 256u);
}

TEST_F(AllocatorTest, AForgedUpdateIsAnErrorAndChangesNothing) {
  Wire wire;
  auto a = open("a");
  a->attach(wire);
  a->tick();
  auto forged = decode(a->complete()).value();
  forged.add_member({peer_name_of("thief"), 5}).nickname = "thief";
  forged.tokens[0].owner = {peer_name_of("thief"), 5};
  forged.tokens[0].version += 1;
  auto before = a->complete();
  auto taken = a->merge(peer_name_of("thief"), encode(forged));
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().text().find("edits this peer's token 10.0.0.0"), std::string::npos) << taken.error().text();
  EXPECT_EQ(a->complete(), before);
  EXPECT_FALSE(a->merge(peer_name_of("thief"), "garbage"));
  EXPECT_FALSE(a->received(peer_name_of("thief"), "garbage"));
  EXPECT_FALSE(a->received(peer_name_of("thief"), "s" + before));
  EXPECT_EQ(a->complete(), before);
}

// Routers of the mesh joined by links in memory; the ring's messages take the way that they take in a cluster.
struct Cluster {
  struct Node {
    std::string name;
    PeerIdentity id;
    std::unique_ptr<Router> router;
    std::unique_ptr<RingAllocator> ring;
    Gossip* gossip = nullptr;
    std::map<LinkId, int> links;
  };
  std::vector<std::unique_ptr<Node>> nodes;
  std::deque<std::function<void()>> queue;
  LinkId last = 0;
  TimePoint now{};
  std::vector<std::string> drops;

  void add(std::unique_ptr<RingAllocator> ring, const std::string& name) {
    int index = static_cast<int>(nodes.size());
    auto n = std::make_unique<Node>();
    n->name = name;
    n->id = {peer_name_of(name), std::uint64_t(index + 1), name, {name + ":6783"}};
    n->ring = std::move(ring);
    n->router = std::make_unique<Router>(
        n->id, RouterTimes{}, index + 1,
        [this, index](LinkId link, Message m) {
          queue.push_back([this, index, link, m] {
            auto at = nodes[std::size_t(index)]->links.find(link);
            if (at != nodes[std::size_t(index)]->links.end()) {
              nodes[std::size_t(at->second)]->router->received(link, *m, now);
            }
          });
        },
        [this](LinkId link, Error e) {
          drops.push_back(e.text());
          queue.push_back([this, link] { cut(link); });
        });
    n->gossip = &n->router->join("ipam", *n->ring);
    n->ring->attach(*n->gossip);
    nodes.push_back(std::move(n));
  }
  void connect(int a, int b) {
    ++last;
    auto &x = *nodes[std::size_t(a)], &y = *nodes[std::size_t(b)];
    x.links[last] = b;
    y.links[last] = a;
    (void)y.router->link_up(last, x.id, false, now);
    (void)x.router->link_up(last, y.id, true, now);
  }
  void cut(LinkId link) {
    for (auto& n : nodes) {
      if (n->links.erase(link)) n->router->link_down(link, now);
    }
  }
  void split(int from) {
    for (auto& n : nodes) {
      auto links = n->links;
      int index = static_cast<int>(&n - nodes.data());
      for (auto [link, to] : links) {
        if ((index < from) != (to < from)) cut(link);
      }
    }
  }
  void run(int seconds) {
    for (int i = 0; i < seconds * 20; ++i) {
      now += 50ms;
      for (int k = 0; k < 100000 && !queue.empty(); ++k) {
        auto f = std::move(queue.front());
        queue.pop_front();
        f();
      }
      for (auto& n : nodes) n->router->tick(now);
      if (i % 20 == 0) {
        for (auto& n : nodes) n->ring->tick();
      }
    }
  }
  bool all_own() {
    return std::ranges::all_of(nodes, [](const auto& n) { return n->ring->usage().total > 0; });
  }
};

TEST_F(AllocatorTest, HalfTheNodesAreCutOffAndBothSidesGoOn) {
  Cluster c;
  std::vector<std::string> founders{"n0", "n1", "n2"};
  for (int i = 0; i < 6; ++i) {
    auto name = "n" + std::to_string(i);
    c.add(open(name, i < 3 ? founders : std::vector<std::string>{}, "10.0.0.0/22"), name);
  }
  // A chain and one chord, all at once: not everybody sees everybody.
  for (int i = 1; i < 6; ++i) c.connect(i - 1, i);
  c.connect(0, 3);
  for (int i = 0; i < 30 && !c.all_own(); ++i) c.run(1);
  ASSERT_TRUE(c.all_own());
  std::map<IpAddress, std::string> given;
  auto allocate = [&](int node, int many, const std::string& prefix) {
    for (int i = 0; i < many; ++i) {
      auto owner = prefix + std::to_string(node) + "/" + std::to_string(i);
      auto got = c.nodes[std::size_t(node)]->ring->allocate(owner, "");
      for (int wait = 0; wait < 30 && !got; ++wait) {
        c.run(1);
        got = c.nodes[std::size_t(node)]->ring->allocate(owner, "");
      }
      ASSERT_TRUE(got) << owner << ": " << got.error().text();
      auto [twin, first] = given.emplace(got->address, owner);
      ASSERT_TRUE(first) << got->address.text() << " has " << twin->second << " and " << owner;
    }
  };
  for (int i = 0; i < 6; ++i) allocate(i, 5, "before");
  c.split(3);
  c.run(15);
  // More than each owns: both sides share out among themselves.
  for (int i = 0; i < 6; ++i) allocate(i, 60, "apart");
  c.connect(2, 3);
  c.run(15);
  for (int i = 0; i < 6; ++i) allocate(i, 5, "after");
  EXPECT_TRUE(c.drops.empty()) << c.drops[0];
  // All see the same shares, and these are the whole range.
  c.run(30);
  std::uint64_t total = 0;
  for (auto& n : c.nodes) total += n->ring->usage().total;
  EXPECT_EQ(total, 1024u);
  for (auto& n : c.nodes) {
    for (auto& m : c.nodes) EXPECT_EQ(n->ring->ranges_of(m->name), m->ring->ranges_of(m->name)) << n->name << m->name;
  }
}

TEST_F(AllocatorTest, ADeadNodesSpaceGoesToWhoRemovedIt) {
  Cluster c;
  std::vector<std::string> founders{"n0", "n1", "n2"};
  for (const auto& name : founders) c.add(open(name, founders, "10.0.0.0/24"), name);
  c.connect(0, 1);
  c.connect(1, 2);
  for (int i = 0; i < 30 && !c.all_own(); ++i) c.run(1);
  c.run(10);
  auto& keeper = *c.nodes[0]->ring;
  auto alive = keeper.remove("n2");
  ASSERT_FALSE(alive);
  EXPECT_EQ(alive.error().code, Code::kConflict);
  EXPECT_EQ(keeper.remove("n7").error().code, Code::kNotFound);
  EXPECT_EQ(keeper.remove("n0").error().code, Code::kInvalid);
  auto before = keeper.usage().total, lost = c.nodes[2]->ring->usage().total;
  c.split(2);
  c.run(15);
  auto done = keeper.remove("n2");
  ASSERT_TRUE(done) << done.error().text();
  for (int i = 0; i < 30 && keeper.usage().total == before; ++i) c.run(1);
  EXPECT_EQ(keeper.usage().total, before + lost);
  // It was alive after all: it finds itself removed, keeps no space, and gets some anew.
  c.connect(1, 2);
  c.run(30);
  std::uint64_t total = 0;
  for (auto& n : c.nodes) total += n->ring->usage().total;
  EXPECT_EQ(total, 256u);
  EXPECT_GT(c.nodes[2]->ring->usage().total, 0u);
  auto status = json::dump(keeper.status());
  EXPECT_NE(status.find("\"total\":256"), std::string::npos) << status;
}

// Five founders of which two are never seen: the other three are enough for all, two of them for nothing.
TEST_F(AllocatorTest, AMajorityOfTheFoundersIsEnoughAndNeeded) {
  std::vector<std::string> founders{"n0", "n1", "n2", "n3", "n4"};
  Cluster c;
  for (int i = 0; i < 2; ++i) c.add(open("n" + std::to_string(i), founders, "10.0.0.0/22"), "n" + std::to_string(i));
  c.connect(0, 1);
  c.run(60);
  EXPECT_EQ(c.nodes[0]->ring->usage().total, 0u);
  auto refused = c.nodes[0]->ring->allocate("early", "");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("a majority of the 5 must be up"), std::string::npos) << refused.error().text();
  c.add(open("n2", founders, "10.0.0.0/22"), "n2");
  c.connect(1, 2);
  c.add(open("guest", {}, "10.0.0.0/22"), "guest");
  c.connect(2, 3);
  for (int i = 0; i < 60 && !c.all_own(); ++i) c.run(1);
  ASSERT_TRUE(c.all_own());
  auto owned = [&] {
    std::uint64_t total = 0;
    for (auto& n : c.nodes) total += n->ring->usage().total;
    return total;
  };
  EXPECT_EQ(owned(), 1024u);  // who was not heard of has no share
  // The two are removed, and then a third founder: no majority is left, and its space stays where it is.
  for (const char* gone : {"n3", "n4"}) {
    auto done = c.nodes[0]->ring->remove(text(peer_name_of(gone)));
    ASSERT_TRUE(done) << done.error().text();
  }
  c.run(30);
  c.split(2);
  c.run(15);
  auto before = owned();
  ASSERT_TRUE(c.nodes[0]->ring->remove("n2"));
  c.run(30);
  EXPECT_EQ(owned(), before);
  EXPECT_TRUE(c.nodes[0]->ring->allocate("still", ""));
}

// A peer that lies to all: whom it wrongs refuses it, and gives on what it owns.
TEST_F(AllocatorTest, AForgedUpdateThroughTheMeshIsRefusedWhereItWouldHarm) {
  Cluster c;
  std::vector<std::string> founders{"n0", "n1"};
  for (const auto& name : founders) c.add(open(name, founders, "10.0.0.0/24"), name);
  c.connect(0, 1);
  for (int i = 0; i < 30 && !c.all_own(); ++i) c.run(1);
  ASSERT_TRUE(c.all_own());  // two founders alone agree as well: each must hear the other's answer
  auto mine = c.nodes[0]->ring->ranges_of("n0");
  auto forged = decode(c.nodes[1]->ring->complete()).value();
  for (auto& t : forged.tokens) {
    if (t.owner.name != peer_name_of("n0")) continue;
    t.owner.name = peer_name_of("n1");
    t.version += 5;
  }
  c.nodes[1]->gossip->broadcast(encode(forged));
  c.run(5);
  ASSERT_FALSE(c.drops.empty());
  EXPECT_NE(c.drops[0].find("edits this peer's token"), std::string::npos) << c.drops[0];
  EXPECT_EQ(c.nodes[0]->ring->ranges_of("n0"), mine);
  EXPECT_TRUE(c.nodes[0]->ring->allocate("still", ""));
}

}  // namespace
}  // namespace lab::overlay::ring
