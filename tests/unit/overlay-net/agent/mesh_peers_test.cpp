#include "overlay-net/agent/mesh_peers.h"

#include <gtest/gtest.h>

namespace lab::overlay {
namespace {

Peer peer(const std::string& name, const std::string& address, const std::string& range,
          const std::string& mac = "02:00:00:00:00:01") {
  return {name, IpAddress::parse(address).value_or(IpAddress()), Cidr::parse(range).value_or(Cidr()),
          *MacAddress::parse(mac)};
}

const Peer kTwo = peer("n2", "10.0.0.2", "10.244.2.0/24"), kThree = peer("n3", "10.0.0.3", "10.244.3.0/24");

TEST(MeshPeers, AnnouncementsComeBack) {
  std::vector<Announcement> all{{{.nickname = "n3"}, announcement_of(kThree)},
                                {{.nickname = "n2"}, announcement_of(kTwo)}};
  EXPECT_EQ(peers_of(all), (std::vector{kTwo, kThree}));
  auto no_range = kTwo;
  no_range.pod_cidr = {};
  EXPECT_TRUE(peers_of({{{.nickname = "n2"}, announcement_of(no_range)}}).empty());
  for (const char* junk : {"", "{", "[1]", R"({"address": 7})", R"({"address":"::1","podCIDR":"x","vtepMAC":""})"}) {
    EXPECT_TRUE(peers_of({{{.nickname = "n2"}, junk}}).empty()) << junk;
  }
}

TEST(MeshPeers, WhatTheMeshAloneKnowsIsAdded) {
  EXPECT_EQ(merge_peers({kTwo}, true, {kThree}), (std::vector{kTwo, kThree}));
  EXPECT_EQ(merge_peers({kTwo}, false, {kThree}), (std::vector{kTwo, kThree}));
  EXPECT_EQ(merge_peers({kTwo}, true, {}), std::vector{kTwo});
}

TEST(MeshPeers, APeerIsWhereItSaysItIs) {
  auto moved = peer("n2", "10.0.0.22", "10.244.9.0/24", "02:00:00:00:00:09");
  auto merged = merge_peers({kTwo}, true, {moved});
  ASSERT_EQ(merged.size(), 1u);
  EXPECT_EQ(merged[0].underlay.text(), "10.0.0.22");
  EXPECT_EQ(merged[0].vtep_mac, moved.vtep_mac);
  EXPECT_EQ(merged[0].pod_cidr, kTwo.pod_cidr);
  EXPECT_EQ(merge_peers({kTwo}, false, {moved}), std::vector{moved});
}

TEST(MeshPeers, OfTwoWithOneRangeTheListDecidesWhereItIsComplete) {
  auto heir = peer("n4", "10.0.0.4", "10.244.2.0/24");
  EXPECT_EQ(merge_peers({kTwo}, true, {heir}), std::vector{kTwo});
  EXPECT_EQ(merge_peers({kTwo}, false, {heir}), std::vector{heir});
  auto same_host = peer("n5", "10.0.0.2", "10.244.5.0/24");
  EXPECT_EQ(merge_peers({kTwo}, true, {same_host}), std::vector{kTwo});
  EXPECT_EQ(merge_peers({kTwo}, false, {same_host}), std::vector{same_host});
}

}  // namespace
}  // namespace lab::overlay
