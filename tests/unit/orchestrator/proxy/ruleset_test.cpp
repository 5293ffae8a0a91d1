#include "orchestrator/proxy/ruleset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "orchestrator/proxy/elements.h"

namespace lab::proxy {
namespace {

Target target(int n) {
  return {IpAddress::v4(0x0af40000u + unsigned(n)), 8080};
}

Frontend frontend(int service, int endpoints, Protocol protocol = Protocol::kTcp) {
  Frontend f{.key = {Space::kAddress, IpAddress::v4(0x0a600000u + unsigned(service)), protocol, 80}};
  for (int i = 0; i < endpoints; ++i) f.targets.push_back(target(service * 1000 + i));
  return f;
}

// What the kernel's maps hold after these scripts: applies add and delete of elements, and fails on what the kernel
// would refuse.
struct Model {
  std::map<std::string, std::map<std::string, std::string>> sets;
  void apply(const std::string& script) {
    std::size_t at = 0;
    while (at < script.size()) {
      auto end = script.find('\n', at);
      line(script.substr(at, end - at));
      at = end + 1;
    }
  }
  void line(const std::string& l) {
    bool adding = l.starts_with("add element ip lab-proxy ");
    if (!adding && !l.starts_with("delete element ip lab-proxy ")) return;
    auto rest = l.substr(l.find("lab-proxy ") + 10);
    auto set = rest.substr(0, rest.find(' '));
    auto body = rest.substr(rest.find("{ ") + 2);
    body = body.substr(0, body.rfind(" }"));
    for (std::size_t at = 0; at < body.size();) {
      auto comma = body.find(", ", at);
      auto item = body.substr(at, comma == std::string::npos ? comma : comma - at);
      at = comma == std::string::npos ? body.size() : comma + 2;
      auto colon = item.find(" : ");
      auto key = item.substr(0, colon), data = colon == std::string::npos ? "" : item.substr(colon + 3);
      if (adding) {
        EXPECT_TRUE(sets[set].emplace(key, data).second) << "added twice: " << l;
      } else {
        auto found = sets[set].find(key);
        EXPECT_TRUE(found != sets[set].end() && found->second == data) << "deleted though absent: " << l;
        if (found != sets[set].end()) sets[set].erase(found);
      }
    }
  }
};

TEST(Ruleset, OneEndpointTouchesAFewElementsWhateverTheNumber) {
  for (int endpoints : {2, 50, 1000}) {
    Ruleset r({});
    for (int s = 1; s <= 20; ++s) r.update("ns/s" + std::to_string(s), {{frontend(s, endpoints)}, {}, {}});
    auto f = frontend(7, endpoints);
    f.targets.erase(f.targets.begin());
    EXPECT_LE(r.update("ns/s7", {{f}, {}, {}}).elements, 5u);
    f.targets.push_back(target(60001));
    EXPECT_LE(r.update("ns/s7", {{f}, {}, {}}).elements, 3u);
    f.targets[0] = target(60002);
    EXPECT_EQ(r.update("ns/s7", {{f}, {}, {}}).elements, 2u);
    std::ranges::reverse(f.targets);
    EXPECT_EQ(r.update("ns/s7", {{f}, {}, {}}).script, "");
  }
}

TEST(Ruleset, ChainsAreSharedByServicesOfTheSameShape) {
  Ruleset r({});
  EXPECT_NE(r.update("a", {{frontend(1, 3)}, {}, {}}).script.find("add chain"), std::string::npos);
  EXPECT_EQ(r.update("b", {{frontend(2, 3)}, {}, {}}).script.find("add chain"), std::string::npos);
}

TEST(Ruleset, TheFirstClaimOnAFrontendWinsAndTheNextTakesOver) {
  Ruleset r({});
  Model m;
  m.apply(r.update("a", {{frontend(1, 2)}, {}, {}}).script);
  auto other = frontend(1, 0);
  other.targets = {target(9)};
  EXPECT_EQ(r.update("b", {{other}, {}, {}}).script, "");
  m.apply(r.update("a", {}).script);
  EXPECT_EQ(r.take_waiting(), std::set<std::string>{"b"});
  m.apply(r.update("b", {{other}, {}, {}}).script);
  EXPECT_EQ(m.sets["services"].size(), 1u);
  EXPECT_EQ(m.sets["service-endpoints-tcp"].begin()->second, "10.244.0.9 . 8080");
}

TEST(Ruleset, EmptyServicesAreRefusedAndUdpFlowsForgotten) {
  Ruleset r({});
  Model m;
  auto empty = frontend(1, 0, Protocol::kUdp), full = frontend(1, 2, Protocol::kUdp);
  m.apply(r.update("a", {{empty}, {}, {}}).script);
  EXPECT_EQ(m.sets["no-endpoints"].at("10.96.0.1 . udp . 80"), "goto refuse");
  auto change = r.update("a", {{full}, {}, {}});
  m.apply(change.script);
  EXPECT_TRUE(m.sets["no-endpoints"].empty());
  ASSERT_EQ(change.stale.size(), 1u);
  EXPECT_TRUE(change.stale[0].untranslated);
  full.targets.pop_back();
  change = r.update("a", {{full}, {}, {}});
  ASSERT_EQ(change.stale.size(), 1u);
  EXPECT_EQ(change.stale[0].gone, std::set<Target>{target(1001)});
  EXPECT_FALSE(change.stale[0].untranslated);
  EXPECT_EQ(r.update("a", {}).stale.size(), 1u);
}

TEST(Ruleset, AffinityAndLocalPolicies) {
  Ruleset r({*Cidr::parse("10.244.0.0/16")});
  auto f = frontend(1, 2);
  f.affinity_seconds = 60;
  auto script = r.update("a", {{f}, {}, {}}).script;
  EXPECT_NE(script.find("timeout 60s"), std::string::npos);
  EXPECT_NE(script.find("sticky { 10.96.0.1 . tcp . 80 : goto remember-60 }"), std::string::npos);
  f.targets.erase(f.targets.begin());
  EXPECT_EQ(r.update("a", {{f}, {}, {}}).sticky_gone,
            std::set<std::string>{"10.96.0.1 . tcp . 80 : 10.244.3.232 . 8080"});
  // A Local frontend without local endpoints still leads insiders on.
  Frontend local{.key = {Space::kNodePort, {}, Protocol::kTcp, 30080},
                 .masquerade = Masquerade::kNone,
                 .when_empty = WhenEmpty::kDrop};
  script = r.update("b", {{local}, {}, {}}).script;
  EXPECT_NE(script.find("node-ports { tcp . 30080 : goto node-port-local-tcp-0 }"), std::string::npos) << script;
  EXPECT_NE(script.find("no-endpoints-node-ports { tcp . 30080 : drop }"), std::string::npos);
}

TEST(Ruleset, SharedAddressesAreCounted) {
  Ruleset r({});
  Model m;
  auto ip = *IpAddress::parse("10.244.1.5");
  m.apply(r.update("a", {{frontend(1, 1)}, {}, {ip}}).script);
  m.apply(r.update("b", {{frontend(2, 1)}, {}, {ip}}).script);
  EXPECT_EQ(m.sets["hairpin"].size(), 1u);
  m.apply(r.update("a", {}).script);
  EXPECT_EQ(m.sets["hairpin"].size(), 1u);
  m.apply(r.update("b", {}).script);
  EXPECT_TRUE(m.sets["hairpin"].empty());
}

// Whatever the sequence of updates, the increments lead to what a build from nothing gives, and no element is added
// twice or deleted when absent.
TEST(Ruleset, IncrementsEqualABuildFromNothing) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Ruleset r({});
    Model m;
    for (int step = 0; step < 200; ++step) {
      auto service = "s" + std::to_string(random() % 6);
      ServiceRules rules;
      for (unsigned f = 0, count = random() % 4; f < count; ++f) {
        Frontend x{.key = {Space(random() % 4),
                           {},
                           random() % 2 ? Protocol::kTcp : Protocol::kUdp,
                           std::uint16_t(80 + random() % 3)}};
        if (x.key.space == Space::kAddress || x.key.space == Space::kAddressInside)
          x.key.address = IpAddress::v4(0x0a600001u + random() % 4);
        x.masquerade = Masquerade(random() % 3);
        x.when_empty = WhenEmpty(random() % 3);
        x.affinity_seconds = random() % 3 ? 0 : 60;
        if (x.key.space == Space::kAddress && random() % 3 == 0)
          x.sources = {*Cidr::parse(random() % 2 ? "192.0.2.0/24" : "192.0.2.7/32")};
        std::set<Target> targets;
        for (unsigned t = 0, n = random() % 5; t < n; ++t) targets.insert(target(int(random() % 9)));
        x.targets.assign(targets.begin(), targets.end());
        rules.frontends.push_back(x);
        if (!x.key.address.empty() && rules.cluster_ips.empty()) rules.cluster_ips.push_back(x.key.address);
      }
      m.apply(r.update(service, rules).script);
      (void)r.take_waiting();
      if (testing::Test::HasFailure()) return;
    }
    Model whole;
    whole.apply(r.full_script());
    std::erase_if(m.sets, [](const auto& s) { return s.second.empty(); });
    ASSERT_EQ(m.sets, whole.sets);

    // From any state of the kernel, and with nothing to do from the right one.
    Listing kernel;
    for (const auto& [set, items] : m.sets) {
      for (const auto& [key, data] : items) kernel.elements.insert({set, key, data});
    }
    EXPECT_EQ(r.converge_script(kernel).find(" element "), std::string::npos);
    for (int i = 0; i < 20 && !kernel.elements.empty(); ++i) {
      auto at = std::next(kernel.elements.begin(), long(random() % kernel.elements.size()));
      auto changed = *at;
      m.sets[changed.set].erase(changed.key);
      kernel.elements.erase(at);
      if (random() % 2) continue;
      changed.data = changed.data.empty() ? "" : changed.data + "9";
      m.sets[changed.set][changed.key] = changed.data;
      kernel.elements.insert(changed);
    }
    m.apply(r.converge_script(kernel));
    std::erase_if(m.sets, [](const auto& s) { return s.second.empty(); });
    ASSERT_EQ(m.sets, whole.sets);
  }
}

}  // namespace
}  // namespace lab::proxy
