// For whom endpoints are, by zones: in proportion to CPUs, or each for its own.
#include "orchestrator/controllers/topology_hints.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lab::controllers {
namespace {

client::ObjectPtr node(const std::string& name, const std::string& zone, int cpus, bool ready = true,
                       bool master = false) {
  json::Object labels;
  if (!zone.empty()) labels["topology.kubernetes.io/zone"] = zone;
  if (master) labels["node-role.kubernetes.io/control-plane"] = "";
  return std::make_shared<const json::Value>(json::Object{
      {"metadata", json::Object{{"name", name}, {"labels", labels}}},
      {"status", json::Object{{"allocatable", json::Object{{"cpu", std::to_string(cpus)}}},
                              {"conditions",
                               json::Array{json::Object{{"type", "Ready"}, {"status", ready ? "True" : "False"}}}}}}});
}

json::Value service(const char* annotation, const char* distribution = "") {
  json::Object annotations, spec;
  if (*annotation) annotations["service.kubernetes.io/topology-mode"] = annotation;
  if (*distribution) spec["trafficDistribution"] = distribution;
  return json::Object{{"metadata", json::Object{{"name", "s"}, {"annotations", annotations}}}, {"spec", spec}};
}

// Endpoints in these zones: "aab" has two in a and one in b; a capital one is not ready.
std::vector<SliceWant> endpoints(const std::string& zones) {
  SliceWant want{"IPv4", {}, {}};
  int number = 0;
  for (char z : zones) {
    bool ready = z >= 'a';
    json::Object e{{"addresses", json::Array{json::Value("10.0.0." + std::to_string(++number))}},
                   {"conditions", json::Object{{"ready", ready}}}};
    if (z != '-') e["zone"] = std::string(1, char(ready ? z : z + 32));
    if (z == '-') e["conditions"] = json::Object{{"ready", true}};
    want.endpoints.emplace_back(std::move(e));
  }
  return {want};
}

// The zones for which they are, in the same order; "-" for nobody's.
std::string hints(const json::Value& s, const ZoneShares& shares, const std::string& zones) {
  auto wants = endpoints(zones);
  set_hints(s, shares, wants);
  std::string out;
  for (const auto& e : wants[0].endpoints) {
    const auto& named = json::list(e, "hints", "forZones");
    out += named.empty() ? "-" : std::string(json::str(named[0], "name"));
  }
  return out;
}

TEST(TopologyHints, SharesAreThoseOfTheCpusOfReadyWorkers) {
  auto shares = zone_shares({node("n1", "a", 2), node("n2", "a", 4), node("n3", "b", 2), node("n4", "b", 8, false),
                             node("m", "c", 8, true, true)});
  EXPECT_EQ(shares, (ZoneShares{{"a", 0.75}, {"b", 0.25}}));
  EXPECT_TRUE(zone_shares({node("n1", "a", 2), node("n2", "a", 2)}).empty());                     // one zone
  EXPECT_TRUE(zone_shares({node("n1", "a", 2), node("n2", "b", 2), node("n3", "", 2)}).empty());  // one of none
  EXPECT_TRUE(zone_shares({node("n1", "a", 2), node("n2", "b", 0)}).empty());                     // CPUs unknown
  EXPECT_TRUE(zone_changed(*node("n1", "a", 2), *node("n1", "b", 2)));
  EXPECT_TRUE(zone_changed(*node("n1", "a", 2), *node("n1", "a", 2, false)));
  EXPECT_FALSE(zone_changed(*node("n1", "a", 2), *node("n1", "a", 2)));
}

TEST(TopologyHints, InProportionEachServesItsOwnZoneWhereThatIsEnough) {
  ZoneShares even{{"a", 0.5}, {"b", 0.5}};
  auto on = service("Auto");
  EXPECT_EQ(hints(on, even, "aabb"), "aabb");
  EXPECT_EQ(hints(on, even, "aabbB"), "aabb-");  // who is not ready is nobody's
  EXPECT_EQ(hints(on, even, "aaab"), "aabb");    // b would carry twice its share
  EXPECT_EQ(hints(on, even, "aaaaaaabb").find('-'), std::string::npos);
  EXPECT_EQ(hints(on, even, "a"), "-");                        // fewer than zones
  EXPECT_EQ(hints(on, even, "abc"), "---");                    // a zone that no node is in
  EXPECT_EQ(hints(on, even, "ab-"), "---");                    // one of unknown zone
  EXPECT_EQ(hints(on, {}, "aabb"), "----");                    // shares unknown
  EXPECT_EQ(hints(on, {{"a", 0.9}, {"b", 0.1}}, "ab"), "--");  // nobody can be split
  EXPECT_EQ(hints(service(""), even, "aabb"), "----");
  // No zone carries more than a fifth above its share.
  ZoneShares three{{"a", 0.5}, {"b", 0.3}, {"c", 0.2}};
  auto given = hints(on, three, "aaaaaaaaaaaabbbbbbbc");
  for (auto [zone, share] : {std::pair{'a', 0.5}, {'b', 0.3}, {'c', 0.2}}) {
    auto n = double(std::ranges::count(given, zone));
    EXPECT_LE(share * 20 / n, 1.2) << given;
  }
}

TEST(TopologyHints, TrafficDistributionGivesEachToItsOwnZone) {
  for (const char* how : {"PreferClose", "PreferSameZone", "PreferSameNode"}) {
    EXPECT_EQ(hints(service("", how), {}, "aab"), "aab") << how;
  }
  EXPECT_EQ(hints(service("", "PreferClose"), {}, "aaB-"), "aab-");
  EXPECT_EQ(hints(service("Auto", "PreferClose"), {}, "aab"), "---");  // the annotation goes before
}

}  // namespace
}  // namespace lab::controllers
