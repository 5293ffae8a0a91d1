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
                   std::vector<IpAddress> here = {}) {
  auto s = parse(service), e = parse(slice);
  return rules_of(s, {&e}, node, here);
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
