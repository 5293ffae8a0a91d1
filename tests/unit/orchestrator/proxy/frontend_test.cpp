#include "orchestrator/proxy/frontend.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lab::proxy {
namespace {

json::Value parse(const char* text) {
  return json::parse(text).value();
}

const char* kSlice =
    R"({"addressType":"IPv4","ports":[{"name":"http","port":8080,"protocol":"TCP"},{"name":"dns","port":5353,"protocol":"UDP"}],
  "endpoints":[
    {"addresses":["10.244.1.5"],"nodeName":"n1","conditions":{"ready":true}},
    {"addresses":["10.244.2.6"],"nodeName":"n2","conditions":{"ready":true}},
    {"addresses":["10.244.2.7"],"nodeName":"n2","conditions":{"ready":false,"serving":true,"terminating":true}}]})";

ServiceRules rules(const char* service, const char* slice = kSlice, const char* node = "n1",
                   std::vector<IpAddress> here = {}, const char* zone = "") {
  auto s = parse(service), e = parse(slice);
  return rules_of(s, {&e}, node, here, zone);
}

const Frontend* find(const ServiceRules& r, Space space, const char* address, Protocol protocol, int port) {
  FrontendKey key{space, *address ? *IpAddress::parse(address) : IpAddress(), protocol,
                  static_cast<std::uint16_t>(port)};
  auto at = std::ranges::find(r.frontends, key, &Frontend::key);
  return at == r.frontends.end() ? nullptr : &*at;
}

std::string targets(const Frontend* f) {
  if (!f) return "none";
  std::string out;
  for (const auto& t : f->targets) out += t.address.text() + ":" + std::to_string(t.port) + " ";
  return out;
}

TEST(Frontends, ClusterIpAndNodePortWithTwoProtocols) {
  auto r = rules(R"({"spec":{"clusterIP":"10.96.0.5","clusterIPs":["10.96.0.5","fd00::5"],"type":"NodePort","ports":[
    {"name":"http","port":80,"protocol":"TCP","nodePort":30080},{"name":"dns","port":80,"protocol":"UDP","nodePort":30080}]}})");
  ASSERT_EQ(r.frontends.size(), 4u);
  auto* tcp = find(r, Space::kAddress, "10.96.0.5", Protocol::kTcp, 80);
  EXPECT_EQ(targets(tcp), "10.244.1.5:8080 10.244.2.6:8080 ");
  EXPECT_EQ(tcp->masquerade, Masquerade::kOutsiders);
  EXPECT_EQ(targets(find(r, Space::kAddress, "10.96.0.5", Protocol::kUdp, 80)), "10.244.1.5:5353 10.244.2.6:5353 ");
  auto* node_port = find(r, Space::kNodePort, "", Protocol::kTcp, 30080);
  ASSERT_TRUE(node_port);
  EXPECT_EQ(node_port->masquerade, Masquerade::kAll);
  EXPECT_EQ(r.cluster_ips.size(), 1u);
  ASSERT_EQ(r.local_targets.size(), 1u);
  EXPECT_EQ(r.local_targets[0].text(), "10.244.1.5");
}

TEST(Frontends, HeadlessExternalNameAndForeignProxyHaveNone) {
  EXPECT_TRUE(rules(R"({"spec":{"clusterIP":"None","ports":[{"name":"http","port":80}]}})").frontends.empty());
  EXPECT_TRUE(
      rules(R"({"spec":{"type":"ExternalName","externalName":"x.org","ports":[{"port":80}]}})").frontends.empty());
  EXPECT_TRUE(rules(R"({"metadata":{"labels":{"service.kubernetes.io/service-proxy-name":"x"}},
    "spec":{"clusterIP":"10.96.0.5","ports":[{"name":"http","port":80}]}})")
                  .frontends.empty());
}

TEST(Frontends, WithoutEndpointsRefuse) {
  auto r = rules(R"({"spec":{"clusterIP":"10.96.0.5","ports":[{"name":"nothing","port":81}]}})");
  auto* f = find(r, Space::kAddress, "10.96.0.5", Protocol::kTcp, 81);
  ASSERT_TRUE(f);
  EXPECT_TRUE(f->targets.empty());
  EXPECT_EQ(f->when_empty, WhenEmpty::kReject);
}

TEST(Frontends, TerminatingOnesServeOnlyWhenNoneIsReady) {
  auto r = rules(R"({"spec":{"clusterIP":"10.96.0.5","ports":[{"name":"http","port":80}]}})",
                 R"({"addressType":"IPv4","ports":[{"name":"http","port":8080}],"endpoints":[
                   {"addresses":["10.244.2.7"],"conditions":{"ready":false,"serving":true,"terminating":true}},
                   {"addresses":["10.244.2.8"],"conditions":{"ready":false,"serving":false}}]})");
  EXPECT_EQ(targets(find(r, Space::kAddress, "10.96.0.5", Protocol::kTcp, 80)), "10.244.2.7:8080 ");
}

TEST(Frontends, InternalPolicyLocal) {
  const char* service =
      R"({"spec":{"clusterIP":"10.96.0.5","internalTrafficPolicy":"Local","ports":[{"name":"http","port":80}]}})";
  EXPECT_EQ(targets(find(rules(service), Space::kAddress, "10.96.0.5", Protocol::kTcp, 80)), "10.244.1.5:8080 ");
  auto elsewhere = rules(service, kSlice, "n3");
  auto* f = find(elsewhere, Space::kAddress, "10.96.0.5", Protocol::kTcp, 80);
  EXPECT_TRUE(f->targets.empty());
  EXPECT_EQ(f->when_empty, WhenEmpty::kDrop);
}

TEST(Frontends, ExternalPolicyLocalKeepsTheClientAndServesInsidersEverywhere) {
  auto r = rules(
      R"({"spec":{"clusterIP":"10.96.0.5","type":"LoadBalancer","externalTrafficPolicy":"Local","externalIPs":["198.51.100.7"],
    "ports":[{"name":"http","port":80,"nodePort":30080}]},"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.9"},{"hostname":"x"}]}}})");
  for (auto [space, inside, address, port] : {std::tuple{Space::kNodePort, Space::kNodePortInside, "", 30080},
                                              {Space::kAddress, Space::kAddressInside, "198.51.100.7", 80},
                                              {Space::kAddress, Space::kAddressInside, "198.51.100.9", 80}}) {
    auto* outer = find(r, space, address, Protocol::kTcp, port);
    EXPECT_EQ(targets(outer), "10.244.1.5:8080 ");
    EXPECT_EQ(outer->masquerade, Masquerade::kNone);
    EXPECT_EQ(targets(find(r, inside, address, Protocol::kTcp, port)), "10.244.1.5:8080 10.244.2.6:8080 ");
  }
  EXPECT_EQ(targets(find(r, Space::kAddress, "10.96.0.5", Protocol::kTcp, 80)), "10.244.1.5:8080 10.244.2.6:8080 ");
}

TEST(Frontends, AffinityAndServedHere) {
  const char* service =
      R"({"spec":{"clusterIP":"10.96.0.10","sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":77}},
    "ports":[{"name":"http","port":80}]}})";
  EXPECT_EQ(find(rules(service), Space::kAddress, "10.96.0.10", Protocol::kTcp, 80)->affinity_seconds, 77);
  auto here = rules(service, kSlice, "n1", {*IpAddress::parse("10.96.0.10")});
  EXPECT_TRUE(here.frontends.empty());
  EXPECT_TRUE(here.cluster_ips.empty());
}

// Three zones; the endpoint of c serves b's clients as well.
const char* kZoned = R"({"addressType":"IPv4","ports":[{"name":"http","port":8080}],"endpoints":[
    {"addresses":["10.244.1.5"],"nodeName":"n1","zone":"a","hints":{"forZones":[{"name":"a"}]}},
    {"addresses":["10.244.2.6"],"nodeName":"n2","zone":"a","hints":{"forZones":[{"name":"a"}]}},
    {"addresses":["10.244.3.7"],"nodeName":"n3","zone":"c","hints":{"forZones":[{"name":"b"},{"name":"c"}]}},
    {"addresses":["10.244.3.8"],"nodeName":"n3","zone":"c","conditions":{"ready":false}}]})";

TEST(Frontends, TopologyHintsLeaveTheEndpointsOfThisZone) {
  const char* service = R"({"spec":{"clusterIP":"10.96.0.5","ports":[{"name":"http","port":80}]}})";
  auto in_zone = [&](const char* zone, const char* slice = kZoned, const char* node = "n1") {
    return targets(find(rules(service, slice, node, {}, zone), Space::kAddress, "10.96.0.5", Protocol::kTcp, 80));
  };
  EXPECT_EQ(in_zone("a"), "10.244.1.5:8080 10.244.2.6:8080 ");
  EXPECT_EQ(in_zone("b"), "10.244.3.7:8080 ");
  EXPECT_EQ(in_zone("c"), "10.244.3.7:8080 ");
  const char* all = "10.244.1.5:8080 10.244.2.6:8080 10.244.3.7:8080 ";
  EXPECT_EQ(in_zone("d"), all);  // nobody is for it
  EXPECT_EQ(in_zone(""), all);   // a node without a zone
  std::string half(kZoned), hint = R"(,"hints":{"forZones":[{"name":"a"}]})";
  half.erase(half.find(hint), hint.size());
  EXPECT_EQ(in_zone("a", half.c_str()), all);  // not all have hints: they are being written
}

TEST(Frontends, PreferSameNodeAndPoliciesThatGoBeforeHints) {
  auto of = [&](const char* spec, const char* node, const char* zone) {
    auto service =
        std::string(R"({"spec":{"clusterIP":"10.96.0.5","ports":[{"name":"http","port":80}],)") + spec + "}}";
    return targets(
        find(rules(service.c_str(), kZoned, node, {}, zone), Space::kAddress, "10.96.0.5", Protocol::kTcp, 80));
  };
  const char* same_node = R"("trafficDistribution":"PreferSameNode")";
  EXPECT_EQ(of(same_node, "n1", "a"), "10.244.1.5:8080 ");
  EXPECT_EQ(of(same_node, "n4", "a"), "10.244.1.5:8080 10.244.2.6:8080 ");                  // then the zone
  EXPECT_EQ(of(same_node, "n4", "d"), "10.244.1.5:8080 10.244.2.6:8080 10.244.3.7:8080 ");  // then all
  EXPECT_EQ(of(R"("internalTrafficPolicy":"Local")", "n3", "a"), "10.244.3.7:8080 ");
}

TEST(Frontends, LoadBalancerSourceRangesAreItsAddressesOwn) {
  auto r = rules(
      R"({"spec":{"clusterIP":"10.96.0.5","type":"LoadBalancer","externalIPs":["198.51.100.7"],
    "loadBalancerSourceRanges":["10.1.2.3/8","10.1.0.0/16","192.0.2.1/32","nonsense","fd00::/8"],
    "ports":[{"name":"http","port":80,"nodePort":30080}]},
    "status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.9"},{"ip":"198.51.100.10","ipMode":"Proxy"}]}}})");
  auto sources = [&](Space space, const char* address, int port) {
    std::string out;
    for (const auto& c : find(r, space, address, Protocol::kTcp, port)->sources) out += c.text() + " ";
    return out;
  };
  EXPECT_EQ(sources(Space::kAddress, "198.51.100.9", 80), "10.0.0.0/8 192.0.2.1/32 ");
  EXPECT_EQ(sources(Space::kAddress, "198.51.100.7", 80), "");
  EXPECT_EQ(sources(Space::kAddress, "10.96.0.5", 80), "");
  EXPECT_EQ(sources(Space::kNodePort, "", 30080), "");
  EXPECT_FALSE(find(r, Space::kAddress, "198.51.100.10", Protocol::kTcp, 80));
}

TEST(Frontends, HealthChecksCountReadyEndpointsHere) {
  auto health = [](const char* policy, const char* node) {
    return rules((std::string(R"({"spec":{"clusterIP":"10.96.0.5","type":"LoadBalancer","healthCheckNodePort":31000,
      "externalTrafficPolicy":")") +
                  policy + R"(","ports":[{"name":"http","port":80},{"name":"dns","port":53,"protocol":"UDP"}]}})")
                     .c_str(),
                 kSlice, node)
        .health;
  };
  EXPECT_EQ(health("Local", "n1"), (HealthCheck{31000, 1}));
  EXPECT_EQ(health("Local", "n2"), (HealthCheck{31000, 1}));  // the one that terminates does not count
  EXPECT_EQ(health("Local", "n3"), (HealthCheck{31000, 0}));
  EXPECT_EQ(health("Cluster", "n1"), std::nullopt);
}

TEST(Frontends, NonsenseInObjectsIsSurvived) {
  EXPECT_TRUE(rules(R"({})").frontends.empty());
  EXPECT_TRUE(rules(R"({"spec":{"clusterIP":"x","ports":[{"port":"y"},3]}})").frontends.empty());
  auto r = rules(
      R"({"spec":{"clusterIP":"10.96.0.5","ports":[{"name":"http","port":80}]}})",
      R"({"addressType":"IPv4","ports":[{"name":"http","port":80}],"endpoints":[{"addresses":["bad",7,"fd00::1"]},null]})");
  EXPECT_TRUE(find(r, Space::kAddress, "10.96.0.5", Protocol::kTcp, 80)->targets.empty());
}

}  // namespace
}  // namespace lab::proxy
