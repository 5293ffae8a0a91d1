// Address ranges, and which address of this machine is offered to others.
#include "bootstrap/common/address.h"

#include <gtest/gtest.h>

namespace lab::bootstrap {
namespace {

TEST(Address, RangesAreReadAndMasked) {
  auto range = parse_range("10.96.13.7/12");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->text(), "10.96.0.0/12");
  EXPECT_EQ(range->size(), 1ull << 20);
  EXPECT_EQ(range->nth(1), "10.96.0.1");
  EXPECT_EQ(range->nth(10), "10.96.0.10");
  EXPECT_EQ(range->nth(256), "10.96.1.0");
  EXPECT_TRUE(range->contains(*parse_address("10.111.255.255")));
  EXPECT_FALSE(range->contains(*parse_address("10.112.0.0")));
  EXPECT_FALSE(range->contains(*parse_address("10.95.255.255")));
  EXPECT_TRUE(parse_range("0.0.0.0/0")->contains(*parse_address("255.255.255.255")));
  EXPECT_EQ(parse_range("0.0.0.0/0")->size(), 1ull << 32);
  EXPECT_EQ(parse_range("1.2.3.4/32")->size(), 1u);
  EXPECT_TRUE(parse_range("1.2.3.4/32")->contains(*parse_address("1.2.3.4")));
}

TEST(Address, WhatIsNoRangeIsRefused) {
  for (const char* bad : {"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0/8",
                          "10.0.0.256/8", "a/8", "fd00::/64"}) {
    auto r = parse_range(bad);
    ASSERT_FALSE(r) << bad;
    EXPECT_EQ(r.error().code, Code::kInvalid);
  }
  EXPECT_EQ(address_text(*parse_address("192.168.77.1")), "192.168.77.1");
  EXPECT_FALSE(parse_address("192.168.77"));
}

TEST(Address, WhatIsOfferedIsAnAddressOfThisMachine) {
  EXPECT_TRUE(is_local_address("127.0.0.1"));
  EXPECT_FALSE(is_local_address("192.0.2.77"));
  auto chosen = choose_advertise_address();
  if (chosen) {
    EXPECT_TRUE(is_local_address(chosen->address)) << chosen->address;
    EXPECT_FALSE(chosen->address.starts_with("127."));
    EXPECT_FALSE(chosen->why.empty());
  } else {
    EXPECT_FALSE(chosen.error().hint.empty());  // a machine without network is told what to do
  }
}

TEST(Address, ANodesAddressIsThatOfTheWayToItsMaster) {
  for (const char* host : {"127.0.0.1", "no-such-host.invalid", ""}) {
    // No way leads to another machine there: it is as for a master.
    auto chosen = choose_address_towards(host), any = choose_advertise_address();
    ASSERT_EQ(chosen.has_value(), any.has_value()) << host;
    if (chosen) EXPECT_EQ(chosen->address, any->address) << host;
  }
  auto any = choose_advertise_address();
  if (!any) return;
  auto chosen = choose_address_towards("192.0.2.1");
  ASSERT_TRUE(chosen);
  EXPECT_TRUE(is_local_address(chosen->address));
}

}  // namespace
}  // namespace lab::bootstrap
