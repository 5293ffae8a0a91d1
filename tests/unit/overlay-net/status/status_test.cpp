#include <gtest/gtest.h>

#include <random>

#include "overlay-net/status/dns_probe.h"
#include "overlay-net/status/render.h"

namespace lab::overlay {
namespace {

// Node 1 of four: connected to 2, to 3 by way of 2, and 4 is gone but still has a route.
json::Value report() {
  return *json::parse(R"({
    "node": "node1", "ready": true, "problem": "", "address": "10.0.0.1", "podCIDR": "10.244.0.0/24", "vni": 1,
    "port": 6784, "mtu": 1450, "clusterCIDR": "10.244.0.0/16", "apiServer": "away", "warnings": [],
    "ipam": {"total": 253, "used": 2},
    "peers": [{"name": "node2", "address": "10.0.0.2", "podCIDR": "10.244.1.0/24"},
              {"name": "node3", "address": "10.0.0.3", "podCIDR": "10.244.2.0/24", "path": "sleeve", "encrypted": true, "mtu": 1400},
              {"name": "node4", "address": "10.0.0.4", "podCIDR": "10.244.3.0/24"}],
    "mesh": {"name": "02:00:00:00:00:01", "nickname": "node1", "listening": "10.0.0.1:6783", "problem": "",
      "connections": [
        {"direction": "->", "address": "10.0.0.2:6783", "state": "established", "nickname": "node2", "roundTripMicroseconds": 420},
        {"direction": "<-", "address": "10.0.0.3:51111", "state": "established", "nickname": "node3"},
        {"direction": "->", "address": "10.0.0.4:6783", "state": "failed", "error": "connect 10.0.0.4:6783: Connection refused", "nextAttemptSeconds": 3.2}],
      "targets": [{"address": "10.0.0.4:6783", "sources": "api,flag", "state": "waiting", "error": "Connection refused"}],
      "peers": [
        {"name": "02:00:00:00:00:01", "nickname": "node1", "self": true, "reachable": true,
         "connections": [{"direction": "->", "name": "02:00:00:00:00:02", "nickname": "node2", "established": true}]},
        {"name": "02:00:00:00:00:02", "nickname": "node2", "reachable": true, "hops": 1, "connections": []},
        {"name": "02:00:00:00:00:03", "nickname": "node3", "reachable": true, "hops": 2, "via": {"nickname": "node2"}, "connections": []}]}})");
}

TEST(Render, Connections) {
  EXPECT_EQ(render_connections(report()),
            "-> 10.0.0.2:6783         established unencrypted fastdp node2 mtu=1450 rtt=0.4ms\n"
            "<- 10.0.0.3:51111        established encrypted sleeve node3 mtu=1400\n"
            "-> 10.0.0.4:6783         failed connect 10.0.0.4:6783: Connection refused, next attempt in 4 s\n"
            "-> 10.0.0.4              node4 - unreachable!\n");
}

TEST(Render, Peers) {
  EXPECT_EQ(render_peers(report()),
            "02:00:00:00:00:01(node1) this node\n"
            "   -> 02:00:00:00:00:02(node2) established\n"
            "02:00:00:00:00:02(node2)\n"
            "02:00:00:00:00:03(node3) 2 hops, by way of node2\n");
}

TEST(Render, Ipam) {
  auto text = render_ipam(report());
  EXPECT_TRUE(text.starts_with("node1                    10.244.0.0/24      256 IPs (0.4% of total) (2 active)\n"))
      << text;
  EXPECT_NE(text.find("node4                    10.244.3.0/24      256 IPs (0.4% of total) - unreachable!\n"),
            std::string::npos)
      << text;
}

TEST(Render, IpamOfTheRing) {
  auto v = report();
  json::set(v, *json::parse(R"({"total": 4096, "problem": "", "peers": [
    {"name": "a1", "nickname": "node1", "self": true, "owned": 2048, "used": 3, "reachable": true},
    {"name": "b2", "nickname": "node2", "owned": 1365, "reachable": false}]})"),
            "ring");
  auto text = render_ipam(v);
  EXPECT_NE(text.find(" 2048 IPs (50.0% of total) (3 active)\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" 1365 IPs (33.3% of total) - unreachable!\n"), std::string::npos) << text;
}

TEST(Render, WhyAPathIsNotTheUsualOne) {
  auto v = report();
  json::set(v.at("peers").at(1), "node2", "via");
  json::set(v.at("peers").at(1), "UDP 6784 is closed", "why");
  EXPECT_NE(render_connections(v).find("established encrypted sleeve node3 mtu=1400 via node2 (UDP 6784 is closed)\n"),
            std::string::npos)
      << render_connections(v);
}

TEST(Render, PodsThatAreReachedWithoutAConnection) {
  auto v = report();
  auto& gone = v.at("peers").at(2).as_object();
  gone["path"] = "sleeve";
  gone["via"] = "node2";
  gone["pathEstablished"] = true;
  EXPECT_NE(render_connections(v).find("next attempt in 4 s; pods of node4 are reached by sleeve via node2\n"),
            std::string::npos)
      << render_connections(v);
}

TEST(Render, Summary) {
  auto text = render_summary(report());
  EXPECT_NE(text.find("    Connections: 3 (2 established, 1 failed)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("          Peers: 3 (with 1 established connections)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("     API server: away\n"), std::string::npos) << text;
}

TEST(Render, EncryptionAndTheRingAreSaid) {
  auto v = report();
  EXPECT_EQ(render_summary(v).find("Encryption"), std::string::npos) << "an agent that does not say";
  EXPECT_NE(render_summary(v).find("           Mode: podcidr: "), std::string::npos) << render_summary(v);
  json::set(v, false, "encrypts");
  EXPECT_NE(render_summary(v).find("     Encryption: off\n"), std::string::npos) << render_summary(v);
  json::set(v, true, "encrypts");
  EXPECT_NE(render_summary(v).find("Encryption: on: AES-256-GCM, through user space; no keys yet with node2, node4, "),
            std::string::npos)
      << render_summary(v);
  for (auto i : {0u, 2u}) json::set(v.at("peers").at(i), true, "encrypted");
  json::set(v, json::Object{}, "ring");
  EXPECT_NE(render_summary(v).find("     Encryption: on: AES-256-GCM, through user space\n"), std::string::npos)
      << render_summary(v);
  EXPECT_NE(render_summary(v).find("           Mode: ring: "), std::string::npos) << render_summary(v);
}

TEST(Render, WireguardIsNamedWhereItIsAndWhyWhereItIsNot) {
  auto v = report();
  json::set(v, true, "encrypts");
  json::set(v, *json::parse(R"({"device": "lab-wg", "port": 6784, "publicKey": "a2V5"})"), "wireguard");
  auto give = [&](std::size_t i, const char* path) {
    json::set(v.at("peers").at(i), true, "encrypted");
    json::set(v.at("peers").at(i), path, "path");
  };
  for (std::size_t i : {0, 1, 2}) give(i, "wireguard");
  EXPECT_NE(render_summary(v).find("     Encryption: on: WireGuard, in the kernel\n"), std::string::npos)
      << render_summary(v);
  EXPECT_NE(render_summary(v).find("Device: lab-wg, UDP port 6784, MTU of pods 1450, public key a2V5\n"),
            std::string::npos)
      << render_summary(v);
  EXPECT_NE(render_connections(v).find(" established encrypted wireguard node2 mtu=1450 "), std::string::npos)
      << render_connections(v);
  give(1, "sleeve");
  EXPECT_NE(render_summary(v).find(
                "on: WireGuard, in the kernel, with node2, node4; AES-256-GCM, through user space, with node3\n"),
            std::string::npos)
      << render_summary(v);
  for (std::size_t i : {0, 2}) give(i, "sleeve");
  json::set(v, *json::parse(R"({"device": "lab-wg", "why": "this kernel has no WireGuard"})"), "wireguard");
  EXPECT_NE(render_summary(v).find("on: AES-256-GCM, through user space (this kernel has no WireGuard)\n"),
            std::string::npos)
      << render_summary(v);
  EXPECT_NE(render_summary(v).find("Device: lab-sleeve, UDP port 6783, "), std::string::npos) << render_summary(v);
}

TEST(Render, Targets) {
  EXPECT_EQ(render_targets(report()), "10.0.0.4:6783         waiting     named by api,flag: Connection refused\n");
}

TEST(Render, WithoutAMesh) {
  auto v = report();
  json::erase(v, "mesh");
  json::set(v, "--mesh-port 0", "meshOff");
  EXPECT_NE(render_summary(v).find("         Status: off: --mesh-port 0\n"), std::string::npos) << render_summary(v);
  EXPECT_EQ(render_connections(v), "");
  EXPECT_EQ(render_ipam(v).find("unreachable"), std::string::npos);
}

TEST(Render, NothingIsNeeded) {
  for (const char* text : {"null", "{}", "[]", R"({"mesh": {"connections": [7], "peers": ["x"]}, "peers": [null]})"}) {
    auto v = *json::parse(text);
    for (auto* f : {render_summary, render_connections, render_peers, render_ipam, render_targets}) (void)f(v);
  }
}

TEST(DnsProbe, AsksAndUnderstands) {
  auto query = dns_query("a.bc", 0x1234);
  EXPECT_EQ(query.substr(12), std::string("\1a\2bc\0\0\1\0\1", 10));
  std::string answer = query;
  answer[2] = static_cast<char>(0x81);
  answer[3] = static_cast<char>(0x80);
  answer[7] = 1;
  answer += std::string("\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\x0a\x60\0\1", 16);
  auto parsed = parse_dns_answer(answer, 0x1234);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->addresses, std::vector<std::string>{"10.96.0.1"});
  EXPECT_FALSE(parse_dns_answer(answer, 0x1235));
  EXPECT_FALSE(parse_dns_answer(query, 0x1234));
  for (std::size_t n = 0; n < answer.size(); ++n) EXPECT_FALSE(parse_dns_answer(answer.substr(0, n), 0x1234)) << n;
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    auto bytes = answer;
    for (int k = 0; k < 3; ++k) bytes[4 + random() % (bytes.size() - 4)] = static_cast<char>(random());
    (void)parse_dns_answer(bytes, 0x1234);
  }
}

}  // namespace
}  // namespace lab::overlay
