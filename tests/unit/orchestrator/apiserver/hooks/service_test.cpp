// Addresses and ports of Services.
#include <gtest/gtest.h>

#include <set>

#include "orchestrator/apiserver/hooks/ranges.h"
#include "orchestrator/apiserver/hooks/service.h"
#include "tests/unit/orchestrator/apiserver/objects.h"

namespace lab::apiserver::hooks {
namespace {

struct World {
  Objects objects;
  std::shared_ptr<ServiceRanges> ranges;
  Hooks hooks;
  explicit World(const char* cidr = "10.96.0.0/24", int first = 30000, int last = 30099)
      : ranges(std::make_shared<ServiceRanges>(*Network::parse(cidr), first, last)), hooks(service_hooks(ranges)) {}

  static json::Value service(const std::string& name, const char* spec) {
    json::Value s = js(R"({"apiVersion":"v1","kind":"Service","metadata":{"namespace":"dev"}})");
    json::set(s, name, "metadata", "name");
    json::set(s, "uid of " + name, "metadata", "uid");
    json::set(s, js(spec), "spec");
    return s;
  }
  // Creates it wholly; the refusal or "".
  std::string create(json::Value& s) {
    std::string name(json::str(s, "metadata", "name"));
    Write w(objects, "v1", "Service", "dev", name);
    auto r = hooks.prepare_create(w.ctx, s);
    if (!r) {
      w.abort();
      return r.error().message;
    }
    w.commit();
    objects.put(s);
    return "";
  }
  void remove(const std::string& name) {
    Write w(objects, "v1", "Service", "dev", name, "delete");
    json::Value last = *objects.get(*w.kind, "dev", name);
    objects.remove("v1", "Service", "dev", name);
    hooks.after_delete(w.ctx, last);
  }
  std::string update(const json::Value& old, json::Value& s) {
    Write w(objects, "v1", "Service", "dev", std::string(json::str(old, "metadata", "name")), "update");
    auto r = hooks.prepare_update(w.ctx, old, s);
    if (!r) {
      w.abort();
      return r.error().message;
    }
    w.commit();
    objects.put(s);
    return "";
  }
};

TEST(Network, Parses) {
  EXPECT_EQ(Network::parse("10.96.0.0/12")->text, "10.96.0.0/12");
  EXPECT_EQ(Network::parse("10.96.77.1/16")->text, "10.96.0.0/16");
  for (const char* bad : {"", "10.96.0.0", "10.96.0.0/33", "10.96.0/12", "fd00::/108", "10.96.0.0/x", "010.1.1.1/12"})
    EXPECT_FALSE(Network::parse(bad)) << bad;
  EXPECT_EQ(format_ipv4(*parse_ipv4("255.0.10.1")), "255.0.10.1");
  EXPECT_FALSE(parse_ipv4("1.2.3.4.5"));
  EXPECT_FALSE(parse_ipv4("1.2.3"));
  EXPECT_FALSE(parse_ipv4("1.2.3.256"));
}

TEST(Service, GetsAnAddress) {
  World w;
  auto s = World::service("a", R"({"type":"ClusterIP","ports":[{"port":80,"protocol":"TCP"}],"selector":{"a":"b"}})");
  ASSERT_EQ(w.create(s), "");
  auto ip = std::string(json::str(s, "spec", "clusterIP"));
  EXPECT_TRUE(ip.starts_with("10.96.0.")) << ip;
  EXPECT_EQ(json::as_str(json::list(s, "spec", "clusterIPs")[0]), ip);
  EXPECT_EQ(json::at(s, "spec", "ipFamilies"), js(R"(["IPv4"])"));
  EXPECT_EQ(json::str(s, "spec", "ipFamilyPolicy"), "SingleStack");
  EXPECT_FALSE(json::has(json::list(s, "spec", "ports")[0], "nodePort"));
  // The low part of the range is for those who choose.
  EXPECT_GT(*parse_ipv4(ip) - *parse_ipv4("10.96.0.0"), 16u);
}

TEST(Service, ChosenAddresses) {
  World w;
  auto dns = World::service("dns", R"({"type":"ClusterIP","clusterIP":"10.96.0.10"})");
  ASSERT_EQ(w.create(dns), "");
  auto second = World::service("b", R"({"type":"ClusterIP","clusterIP":"10.96.0.10"})");
  EXPECT_EQ(
      w.create(second),
      "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: "
      "provided IP is already allocated");
  auto outside = World::service("b", R"({"type":"ClusterIP","clusterIPs":["10.97.0.1"]})");
  EXPECT_NE(w.create(outside).find(
                "the provided IP (10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/24"),
            std::string::npos);
  w.remove("dns");
  auto third = World::service("c", R"({"type":"ClusterIP","clusterIP":"10.96.0.10"})");
  EXPECT_EQ(w.create(third), "");
}

TEST(Service, HeadlessAndExternalName) {
  World w;
  auto headless = World::service("h", R"({"type":"ClusterIP","clusterIP":"None","selector":{"a":"b"}})");
  ASSERT_EQ(w.create(headless), "");
  EXPECT_EQ(json::at(headless, "spec", "clusterIPs"), js(R"(["None"])"));
  auto bare = World::service("h2", R"({"type":"ClusterIP","clusterIP":"None"})");
  ASSERT_EQ(w.create(bare), "");
  EXPECT_EQ(json::at(bare, "spec", "ipFamilies"), js(R"(["IPv4","IPv6"])"));
  auto external = World::service("x", R"({"type":"ExternalName","externalName":"a.b"})");
  ASSERT_EQ(w.create(external), "");
  EXPECT_FALSE(json::has(external, "spec", "clusterIP"));
  EXPECT_FALSE(json::has(external, "spec", "ipFamilies"));
  auto dual = World::service("d", R"({"type":"ClusterIP","ipFamilyPolicy":"RequireDualStack"})");
  EXPECT_NE(w.create(dual).find("this cluster is not configured for dual-stack services"), std::string::npos);
  auto six = World::service("d", R"({"type":"ClusterIP","ipFamilies":["IPv6"]})");
  EXPECT_NE(w.create(six).find("spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"),
            std::string::npos);
}

TEST(Service, NodePorts) {
  World w;
  auto s = World::service("n", R"({"type":"NodePort","ports":[{"port":53,"protocol":"TCP"},{"port":53,"protocol":"UDP"},
      {"port":80,"protocol":"TCP","nodePort":30080}]})");
  ASSERT_EQ(w.create(s), "");
  const auto& ports = json::list(s, "spec", "ports");
  EXPECT_GE(json::num(ports[0], "nodePort"), 30000);
  EXPECT_EQ(json::num(ports[0], "nodePort"), json::num(ports[1], "nodePort"));  // one number for both protocols
  auto taken = World::service("m", R"({"type":"NodePort","ports":[{"port":80,"protocol":"TCP","nodePort":30080}]})");
  EXPECT_EQ(
      w.create(taken),
      "Service \"m\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated");
  auto outside = World::service("m", R"({"type":"NodePort","ports":[{"port":80,"protocol":"TCP","nodePort":80}]})");
  EXPECT_EQ(w.create(outside),
            "Service \"m\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid "
            "range. The range of "
            "valid ports is 30000-30099");
  auto balancer = World::service(
      "l", R"({"type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":80,"protocol":"TCP"}]})");
  ASSERT_EQ(w.create(balancer), "");
  EXPECT_NE(json::num(balancer, "spec", "healthCheckNodePort"), 0);
  EXPECT_NE(json::num(json::list(balancer, "spec", "ports")[0], "nodePort"),
            json::num(balancer, "spec", "healthCheckNodePort"));
  auto without =
      World::service("l2", R"({"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[{"port":80}]})");
  ASSERT_EQ(w.create(without), "");
  EXPECT_FALSE(json::has(json::list(without, "spec", "ports")[0], "nodePort"));
}

TEST(Service, UpdatesKeepWhatWasGiven) {
  World w;
  auto s = World::service("a", R"({"type":"NodePort","ports":[{"port":80,"protocol":"TCP"}]})");
  ASSERT_EQ(w.create(s), "");
  // A client that knows nothing of the server's choices.
  auto plain = World::service("a", R"({"type":"NodePort","ports":[{"port":81,"protocol":"TCP"}]})");
  ASSERT_EQ(w.update(s, plain), "");
  EXPECT_EQ(json::at(plain, "spec", "clusterIP"), json::at(s, "spec", "clusterIP"));
  EXPECT_EQ(json::num(json::list(plain, "spec", "ports")[0], "nodePort"),
            json::num(json::list(s, "spec", "ports")[0], "nodePort"));
  // To ClusterIP: the port goes, the address stays.
  auto inner = plain;
  json::set(inner, "ClusterIP", "spec", "type");
  ASSERT_EQ(w.update(plain, inner), "");
  EXPECT_FALSE(json::has(json::list(inner, "spec", "ports")[0], "nodePort"));
  EXPECT_EQ(json::at(inner, "spec", "clusterIP"), json::at(s, "spec", "clusterIP"));
  // To ExternalName and back: another address may come.
  auto external = inner;
  json::set(external, "ExternalName", "spec", "type");
  ASSERT_EQ(w.update(inner, external), "");
  EXPECT_FALSE(json::has(external, "spec", "clusterIP"));
  auto back = external;
  json::set(back, "ClusterIP", "spec", "type");
  ASSERT_EQ(w.update(external, back), "");
  EXPECT_TRUE(json::str(back, "spec", "clusterIP").starts_with("10.96.0."));
  // Its own port, asked for by number, is no conflict with itself.
  auto fixed = back;
  json::set(fixed, "NodePort", "spec", "type");
  json::set(fixed.at("spec").at("ports").at(0), 30050, "nodePort");
  ASSERT_EQ(w.update(back, fixed), "");
  auto again = fixed;
  EXPECT_EQ(w.update(fixed, again), "");
}

// What one Service gives up, another may have at once.
TEST(Service, GivesBackOnChangeAndDeletion) {
  World w;
  auto a = World::service("a", R"({"type":"NodePort","ports":[{"port":80,"protocol":"TCP","nodePort":30080}]})");
  ASSERT_EQ(w.create(a), "");
  auto inner = a;
  json::set(inner, "ClusterIP", "spec", "type");
  ASSERT_EQ(w.update(a, inner), "");
  auto b = World::service("b", R"({"type":"NodePort","ports":[{"port":80,"protocol":"TCP","nodePort":30080}]})");
  ASSERT_EQ(w.create(b), "");
  w.remove("b");
  auto c = World::service("c", R"({"type":"NodePort","ports":[{"port":80,"protocol":"TCP","nodePort":30080}]})");
  EXPECT_EQ(w.create(c), "");
}

TEST(Ranges, AbortsGiveBackAndFullIsFull) {
  World w("10.0.0.0/29", 30000, 30001);  // six addresses, two ports
  Objects& o = w.objects;
  Write first(o, "v1", "Service", "dev", "x");
  auto ip = w.ranges->claim_ip(first.ctx, "x", "10.0.0.3");
  ASSERT_TRUE(ip);
  Write second(o, "v1", "Service", "dev", "y");
  EXPECT_FALSE(w.ranges->claim_ip(second.ctx, "y", "10.0.0.3"));  // not committed, and taken all the same
  first.abort();
  EXPECT_TRUE(w.ranges->claim_ip(second.ctx, "y", "10.0.0.3"));
  second.abort();
  std::set<std::string> all;
  for (int i = 0; i < 6; ++i) {
    Write each(o, "v1", "Service", "dev", "s" + std::to_string(i));
    auto any = w.ranges->claim_ip(each.ctx, each.ctx.name, "");
    ASSERT_TRUE(any) << i;
    EXPECT_TRUE(all.insert(*any).second) << *any;
    each.commit();
  }
  EXPECT_FALSE(all.contains("10.0.0.0"));
  EXPECT_FALSE(all.contains("10.0.0.7"));
  Write last(o, "v1", "Service", "dev", "last");
  auto full = w.ranges->claim_ip(last.ctx, "last", "");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().message, "range is full");
}

// Whatever happens in between, no two Services get the same.
TEST(Ranges, UniqueUnderChurn) {
  World w("10.0.0.0/26", 30000, 30063);
  std::set<std::string> names;
  unsigned seed = 12345;
  auto next = [&] { return seed = seed * 1664525 + 1013904223, seed >> 16; };
  for (int round = 0; round < 2000; ++round) {
    if (next() % 3 != 0 && names.size() < 50) {
      std::string name = "s" + std::to_string(round);
      auto s = World::service(name, R"({"type":"NodePort","ports":[{"port":80,"protocol":"TCP"}]})");
      ASSERT_EQ(w.create(s), "") << round;
      names.insert(name);
    } else if (!names.empty()) {
      w.remove(*names.begin());
      names.erase(names.begin());
    }
    std::set<std::string> ips;
    std::set<std::int64_t> ports;
    for (const auto& s : w.objects.list(*api::find_kind("", "v1", "services"), "dev")) {
      ASSERT_TRUE(ips.insert(std::string(json::str(*s, "spec", "clusterIP"))).second);
      ASSERT_TRUE(ports.insert(json::num(json::list(*s, "spec", "ports")[0], "nodePort")).second);
    }
  }
}

}  // namespace
}  // namespace lab::apiserver::hooks
