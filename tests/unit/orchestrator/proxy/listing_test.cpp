#include "orchestrator/proxy/listing.h"

#include <gtest/gtest.h>

namespace lab::proxy {
namespace {

// OURS stands for the table's name.
Listing read(std::string objects) {
  const std::string ours = "OURS", table = R"("family": "ip", "table": "lab-proxy",)";
  for (auto at = objects.find(ours); at != std::string::npos; at = objects.find(ours)) objects.replace(at, 4, table);
  return listing_of(*json::parse(R"({"nftables": [{"metainfo": {"json_schema_version": 1}}, )" + objects + "]}"));
}
std::vector<std::string> lines(const Listing& l) {
  std::vector<std::string> out;
  for (const auto& e : l.elements) out.push_back(e.set + " { " + e.key + (e.data.empty() ? "" : " : " + e.data) + " }");
  return out;
}
using Lines = std::vector<std::string>;

TEST(Listing, ElementsReadAsTheyAreWritten) {
  auto l = read(R"(
      {"set": {OURS "name": "cluster-ips", "elem": ["10.96.0.1"]}},
      {"set": {OURS "name": "hairpin", "elem": [{"concat": ["10.244.1.5", "10.244.1.5"]}]}},
      {"map": {OURS "name": "no-endpoints", "elem": [[{"concat": ["10.96.0.1", "sctp", 80]}, {"drop": null}]]}},
      {"map": {OURS "name": "node-ports", "elem": [[{"concat": ["tcp", 30080]}, {"goto": {"target": "c-1"}}]]}},
      {"map": {OURS "name": "node-slots", "elem": [[{"concat": ["udp", 6, 17]}, {"concat": ["10.244.1.5", 6]}]]}},
      {"map": {OURS "name": "slots", "elem": [[{"concat": ["10.96.0.1", "tcp", 6, 0]}, {"concat": ["10.244.1.5", 17]}]]}},
      {"map": {"family": "ip", "table": "other", "name": "node-ports", "elem": ["10.0.0.1"]}},
      {"chain": {"family": "ip6", "table": "lab-proxy", "name": "c-2"}},
      {"chain": {OURS "name": "c-1"}}, {"rule": {"chain": "c-1", "expr": [{"accept": null}]}})");
  EXPECT_EQ(lines(l), (Lines{"cluster-ips { 10.96.0.1 }", "hairpin { 10.244.1.5 . 10.244.1.5 }",
                             "no-endpoints { 10.96.0.1 . sctp . 80 : drop }", "node-ports { tcp . 30080 : goto c-1 }",
                             "node-slots { udp . 6 . 17 : 10.244.1.5 . 6 }",
                             "slots { 10.96.0.1 . tcp . 6 . 0 : 10.244.1.5 . 17 }"}));
  EXPECT_EQ(l.chains, std::set<std::string>{"c-1"});
}

// A system without /etc/protocols.
TEST(Listing, ProtocolsMayComeAsNumbers) {
  auto l = read(R"(
      {"map": {OURS "name": "node-slots", "elem": [[{"concat": [17, 30080, 6]}, {"concat": ["10.244.1.5", 6]}]]}},
      {"map": {OURS "name": "slots", "elem": [[{"concat": ["10.96.0.1", 6, 17, 1]}, {"concat": ["10.244.1.5", 6]}]]}})");
  EXPECT_EQ(lines(l), (Lines{"node-slots { udp . 30080 . 6 : 10.244.1.5 . 6 }",
                             "slots { 10.96.0.1 . tcp . 17 . 1 : 10.244.1.5 . 6 }"}));
}

TEST(Listing, IntervalsAndRememberedClients) {
  auto l = read(R"(
      {"map": {OURS "name": "affinity", "elem": [[{"concat": ["1.1.1.1", "10.96.0.1", "tcp", 80]}, {"concat": ["1.2.3.4", 8]}]]}},
      {"set": {OURS "name": "sources", "elem": [{"concat": ["10.9.0.1", 6, 80, {"prefix": {"addr": "10.1.0.0", "len": 16}}]}]}},
      {"set": {OURS "name": "pod-cidrs", "elem": [{"prefix": {"addr": "10.244.0.0", "len": 16}}, "10.9.0.1"]}})");
  EXPECT_EQ(lines(l), (Lines{"pod-cidrs { 10.244.0.0/16 }", "pod-cidrs { 10.9.0.1 }",
                             "sources { 10.9.0.1 . tcp . 80 . 10.1.0.0/16 }"}));

  auto clients = remembered_clients(*json::parse(R"({"nftables": [{"map": {"name": "affinity", "elem": [
      [{"elem": {"val": {"concat": ["1.1.1.1", "10.96.0.1", "tcp", 80]}, "timeout": 3600, "expires": 12}},
       {"concat": ["10.244.1.5", 8080]}]]}}]})"));
  ASSERT_EQ(clients.size(), 1u);
  EXPECT_EQ(clients[0].client, "1.1.1.1");
  EXPECT_EQ(clients[0].frontend, "10.96.0.1 . tcp . 80");
  EXPECT_EQ(clients[0].port, "tcp . 80");
  EXPECT_EQ(clients[0].endpoint, "10.244.1.5 . 8080");
}

TEST(Listing, NonsenseIsSurvived) {
  EXPECT_TRUE(listing_of(json::Value()).elements.empty());
  EXPECT_TRUE(read(R"({"map": {OURS "name": "m", "elem": [[1, 2, 3], [[], {}]]}}, {"chain": 5}, 7)").chains.empty());
  EXPECT_TRUE(remembered_clients(json::Value("x")).empty());
}

}  // namespace
}  // namespace lab::proxy
